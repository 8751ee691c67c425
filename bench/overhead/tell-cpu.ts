// For `node --import`: tells at the end of any program what processor time it took, in microseconds, of all threads.

process.on('exit', () => {
  const { user, system } = process.cpuUsage();
  process.stderr.write(`\ncpu ${user + system}\n`);
});
