// Starts Azurite, and ends with whoever holds the other end of standard input:
// a test that is killed leaves no server behind.
process.stdin.on("end", () => process.exit());
process.stdin.resume();
require("azurite/dist/src/azurite.js");
