/** Closes every run with a line that any CI can count. A run that executed no test fails. */
class CountReporter {
  onRunComplete(_contexts, results) {
    const { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped } = results;
    const broken = results.numRuntimeErrorTestSuites;
    process.stdout.write(
      `${passed} passed, ${failed + broken} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`,
    );
    this.empty = passed + failed === 0;
  }
  getLastError() {
    return this.empty ? new Error("no test was executed") : undefined;
  }
}
module.exports = CountReporter;
