// Starts Azurite, which exits when standard input is closed, so that a test that is
// killed leaves no server behind.
process.stdin.on("end", () => process.exit());
process.stdin.resume();
require("azurite/dist/src/azurite.js");
