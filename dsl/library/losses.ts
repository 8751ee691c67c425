// Losses, as `.sr` text: `sr` is the generator's output, `hr` the original.

export const losses = `
loss l1 = mean(abs(sr - hr))
loss mse = mean((sr - hr)^2)
loss charbonnier(eps = 1e-3) = mean(sqrt((sr - hr)^2 + eps^2))

// Total variation (anisotropic) of the output alone.
loss tv = mean(abs(dx(sr))) + mean(abs(dy(sr)))

// Distance of features: perceptual(vgg.conv5_4) is ESRGAN's, perceptual(vgg.relu5_4, mse) is SRGAN's.
loss perceptual(f, criterion = l1) = criterion(f(sr), f(hr))

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

// Relativistic average GAN: ESRGAN (arXiv:1809.00219), equations 1 and 2. BasicSR detaches the means in the
// discriminator's step (a workaround for distributed training): detach_mean=true.
loss ragan(d, detach_mean = false) {
  generator = bce(d(hr) - mean(d(sr)), 0) / 2 + bce(d(sr) - mean(d(hr)), 1) / 2
  discriminator = bce(d(hr) - detach(mean(d(sr)), detach_mean), 1) / 2
    + bce(d(sr) - detach(mean(d(hr)), detach_mean), 0) / 2
}
`;
