// Losses, as `.sr` text: `sr` is the generator's output, `hr` the original.

export const losses = `
loss l1 = mean(abs(sr - hr))
loss mse = mean((sr - hr)^2)
loss charbonnier(eps = 1e-3) = mean(sqrt((sr - hr)^2 + eps^2))

// Total variation (anisotropic) of the output alone.
loss tv = mean(abs(dx(sr))) + mean(abs(dy(sr)))

// Distance of features: perceptual(vgg.conv5_4) is ESRGAN's, perceptual(vgg.relu5_4, mse) is SRGAN's.
loss perceptual(f, criterion = l1) = criterion(f(sr), f(hr))

// Presets, each for images in [0, 1] and VGG19 of torchvision. A weight means nothing without its layer, and without
// whether squares are summed over channels or averaged (mse).

// SRGAN (arXiv:1609.04802, section 3.2): features divided by 12.75, squares summed over the 128 channels of relu2_2 or
// the 512 of relu5_4.
loss srgan_vgg22(vgg) = 128 / 12.75^2 * perceptual(vgg.relu2_2, mse)
loss srgan_vgg54(vgg) = 512 / 12.75^2 * perceptual(vgg.relu5_4, mse)

// TensorLayer's SRGAN: 2e-6 times the mean square at pool4. Its VGG19 takes 0 to 255 less the mean, torchvision's that
// over 255 * 0.226 (the mean deviation): so much larger the features are, if the filters are as large.
loss tensorlayer_vgg(vgg) = 2e-6 * (255*0.226)^2 * perceptual(vgg.pool4, mse)

// ESRGAN (arXiv:1809.00219): conv5_4 before its activation, distance l1.
loss esrgan_features(vgg) = perceptual(vgg.conv5_4)

// Real-ESRGAN (arXiv:2107.10833): five layers before their activations.
loss realesrgan_features(vgg) = 0.1 * perceptual(vgg.conv1_2)
  + 0.1 * perceptual(vgg.conv2_2)
  + perceptual(vgg.conv3_4)
  + perceptual(vgg.conv4_4)
  + perceptual(vgg.conv5_4)

// Adversarial losses give both players their objective; d gives logits.
loss gan(d) {
  generator = bce(d(sr), 1)
  discriminator = bce(d(hr), 1) + bce(d(sr), 0)
}

loss lsgan(d) {
  generator = mean((d(sr) - 1)^2)
  discriminator = mean((d(hr) - 1)^2) + mean(d(sr)^2)
}

loss hinge(d) {
  generator = -mean(d(sr))
  discriminator = mean(max(1 - d(hr), 0)) + mean(max(1 + d(sr), 0))
}

// Relativistic average GAN: ESRGAN (arXiv:1809.00219), equations 1 and 2, as in the paper and its code of 2018. BasicSR
// today detaches the means in the discriminator's step (a workaround for distributed training): detach_mean=true.
loss ragan(d, detach_mean = false) {
  generator = bce(d(hr) - mean(d(sr)), 0) / 2 + bce(d(sr) - mean(d(hr)), 1) / 2
  discriminator = bce(d(hr) - detach(mean(d(sr)), detach_mean), 1) / 2
    + bce(d(sr) - detach(mean(d(hr)), detach_mean), 0) / 2
}
`;
