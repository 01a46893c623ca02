// Runs in any Node from 4 on, so it keeps to ES5: an old Node must come as far as handing over to a new one.
'use strict';

var OLDEST_NODE = 24;

/** Runs `command`, for which this Node is too old, in the one that the npm package `node` brought. */
module.exports = function launch(command) {
  var node = findNode();
  if (node === null) {
    console.error(
      command +
        ': needs Node.js ' +
        OLDEST_NODE +
        ' or newer and this is ' +
        process.version +
        '; install a newer one, or run `npm ci` in ' +
        require('path').dirname(__dirname) +
        ', which brings its own',
    );
    process.exitCode = 1;
    return;
  }
  handOver(node, [require('path').join(__dirname, command + '.cjs')].concat(process.argv.slice(2)));
};

/** The program file of the `node` package that this package can see, or null. */
function findNode() {
  try {
    var manifest = require.resolve('node/package.json');
    if (parseInt(require(manifest).version, 10) < OLDEST_NODE) return null;
    var file = require('path').join(manifest, '..', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return require('fs').existsSync(file) ? file : null;
  } catch (e) {
    return null;
  }
}

/**
 * The descriptors that this process was started with: 0, 1, 2, and all below the first that Node has opened. Of others
 * those beyond 15 reach the new process by themselves.
 */
function inherited() {
  var fs = require('fs');
  var list = [0, 1, 2];
  try {
    while (fs.readlinkSync('/proc/self/fd/' + list.length) !== 'anon_inode:[eventpoll]') list.push(list.length);
  } catch (e) {
    return [0, 1, 2];
  }
  return list;
}

function handOver(node, args) {
  var descriptors = inherited();
  // Node closes all but the first three when it executes another program.
  if (descriptors.length === 3 && typeof process.execve === 'function' && process.platform !== 'win32') {
    process.execve(node, [node].concat(args), process.env);
  }
  var child = require('child_process').spawn(node, args, { stdio: descriptors });
  // The terminal sends these to the whole process group, the child included; only outlive them here.
  ['SIGINT', 'SIGQUIT'].forEach(function (signal) {
    process.on(signal, function () {});
  });
  ['SIGTERM', 'SIGHUP', 'SIGUSR2', 'SIGCONT'].forEach(function (signal) {
    process.on(signal, function () {
      child.kill(signal);
    });
  });
  child.on('error', function (error) {
    console.error('tsemu: cannot run ' + node + ': ' + error.message);
    process.exit(1);
  });
  child.on('exit', function (code, signal) {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    setTimeout(function () {
      process.exit(128 + require('os').constants.signals[signal]);
    }, 1000);
  });
}
