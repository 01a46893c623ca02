#!/usr/bin/env node
'use strict';

// Anything more that is loaded costs each start a millisecond: an old Node hands over to a new one.
if (parseInt(process.versions.node, 10) >= 24) require('./run.cjs').run('tsemu-img');
else require('./launch.cjs')('tsemu-img');
