// The part of the launcher that only a new Node reads: an old one does not even parse `import()`.
'use strict';

/** Loads the bundle and runs `command` with this process's arguments. */
module.exports = function run(command) {
  import('../dist/main.js').then(
    (main) => main.main(command),
    (error) => {
      const root = require('node:path').dirname(__dirname);
      if (require('node:fs').existsSync(`${root}/dist/main.js`)) throw error;
      console.error(`${command}: not built yet; run \`npm run build\` in ${root}`);
      process.exitCode = 1;
    },
  );
};
