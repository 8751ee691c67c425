// Discriminators and perception networks, as `.sr` text. `discriminator critic = vgg128(features=64)` makes one.

export const networks = `
// VGG-style discriminator of ESRGAN (BasicSR's VGGStyleDiscriminator): its input is the recipe's patch, 128 by default.
// Gives one logit.
discriminator vgg128(features = 64) : (3, 128, 128) -> (1, 1, 1) {
  conv(features); lrelu(0.2)
  conv(features, kernel=4, stride=2, pad=1, bias=false); batchnorm; lrelu(0.2)
  vgg_stage(2*features)
  vgg_stage(4*features)
  vgg_stage(8*features) x2
  linear(100); lrelu(0.2)
  linear(1)
}

// Two convolutions, the second of which halves the size.
block vgg_stage(features) {
  conv(features, bias=false); batchnorm; lrelu(0.2)
  conv(features, kernel=4, stride=2, pad=1, bias=false); batchnorm; lrelu(0.2)
}

// U-Net discriminator of Real-ESRGAN (arXiv:2107.10833; UNetDiscriminatorSN): all convolutions but the first and the
// last are under spectral normalisation. Gives one logit per pixel.
discriminator unet(features = 64) : (3, h, w) -> (1, h, w) {
  whole = { conv(features); lrelu(0.2) }
  half = { conv(2*features, kernel=4, stride=2, pad=1, bias=false, spectral=true); lrelu(0.2) }
  quarter = { conv(4*features, kernel=4, stride=2, pad=1, bias=false, spectral=true); lrelu(0.2) }
  eighth = { conv(8*features, kernel=4, stride=2, pad=1, bias=false, spectral=true); lrelu(0.2) }
  unet_up(4*features); add(quarter)
  unet_up(2*features); add(half)
  unet_up(features); add(whole)
  unet_conv(features) x2
  conv(1)
}

block unet_conv(features) { conv(features, bias=false, spectral=true); lrelu(0.2) }
block unet_up(features) { upsample(2, mode=bilinear); unet_conv(features) }

// VGG19 as torchvision has it (arXiv:1409.1556): images in [0, 1]; conv… is before the activation, relu… after. Without
// a file of weights, the one in the cache is used (\`src fetch vgg19\`).
perception vgg19(weights = "") : (3, h, w) {
  normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
  conv1_1 = conv(64); relu1_1 = relu
  conv1_2 = conv(64); relu1_2 = relu
  pool1 = maxpool(2)
  conv2_1 = conv(128); relu2_1 = relu
  conv2_2 = conv(128); relu2_2 = relu
  pool2 = maxpool(2)
  conv3_1 = conv(256); relu3_1 = relu
  conv3_2 = conv(256); relu3_2 = relu
  conv3_3 = conv(256); relu3_3 = relu
  conv3_4 = conv(256); relu3_4 = relu
  pool3 = maxpool(2)
  conv4_1 = conv(512); relu4_1 = relu
  conv4_2 = conv(512); relu4_2 = relu
  conv4_3 = conv(512); relu4_3 = relu
  conv4_4 = conv(512); relu4_4 = relu
  pool4 = maxpool(2)
  conv5_1 = conv(512); relu5_1 = relu
  conv5_2 = conv(512); relu5_2 = relu
  conv5_3 = conv(512); relu5_3 = relu
  conv5_4 = conv(512); relu5_4 = relu
  pool5 = maxpool(2)
}
`;
