// Building blocks of generators, as `.sr` text.

export const blocks = `
// Residual dense block: ESRGAN (arXiv:1809.00219), figure 4. The small start (kaiming-normal times 0.1) is BasicSR's.
block rdb(growth = 32, beta = 0.2) {
  residual(beta) {
    dense x4 { conv(growth, init=0.1); lrelu(0.2) }
    conv(channels, init=0.1)
  }
}

// Residual in residual dense block: three dense blocks and a skip around them.
block rrdb(growth = 32, beta = 0.2) {
  residual(beta) { rdb(growth, beta) x3 }
}
`;
