import type { ProgramCase } from './case.ts';

const base = ['tmux', 'ncurses-base', 'coreutils', 'grep', 'sed', 'dash'];

/**
 * Commands that see a program as a person would, in a tmux of the guest's own: `t COMMAND` speaks to that tmux, `on WIDTH
 * HEIGHT PROGRAM` starts one with a program, `see PATTERN` waits until the screen shows it and leaves the screen in
 * the file `screen`.
 */
const prelude = `export HOME=$PWD TERM=screen SHELL=/bin/sh
t() { tmux -f /dev/null -S $PWD/s "$@"; }
on() { t new-session -d -x $1 -y $2 "$3; touch ended"; }
see() { i=0; while [ $i -lt 200 ]; do t capture-pane -p > screen; grep -qE "$1" screen && return; i=$((i + 1)); sleep 0.3; done; echo "never seen: $1"; cat screen; }
end() { i=0; while [ $i -lt 200 ]; do [ -e ended ] && return; i=$((i + 1)); sleep 0.3; done; echo 'does not end'; }
`;

/** Programs that own a terminal. */
export const terminalCases: ProgramCase[] = [
  {
    name: 'tmux',
    packages: base,
    script: `${prelude}inner() { on 40 8 "TMUX= $1 tmux -f /dev/null -S $PWD/i new-session 'echo left; cat' ';' split-window -h 'echo right; cat' ';' split-window 'echo low; cat'"; see low; sed -n 1,7p screen; }
inner LC_ALL=C.UTF-8; t send-keys 'typed ä' Enter; see 'typed.*ä'; tmux -S $PWD/i kill-server; end; rm ended
inner LC_ALL=C; tmux -S $PWD/i kill-server; end`,
    expected: /^(left +│right\n +│\n +│\n +├─+\n +│low\n +│\n +│\n){2}$/,
    timeout: 120,
  },
  {
    name: 'htop',
    packages: ['htop', ...base],
    script: `${prelude}on 100 20 htop; see 'PID *USER'; see 'htop *$'; grep -c 'Tasks:\\|Load average:\\|F10Quit' screen; t send-keys F5; see '[├└]─'; t send-keys F10; end`,
    expected: '3\n',
    timeout: 120,
  },
  {
    name: 'mc',
    packages: ['mc', 'libcom-err2', ...base],
    files: { 'd/one': '1\n', 'd/two': '22\n', 'e/x': '' },
    script: `${prelude}on 60 16 "cd d; LC_ALL=C.UTF-8 mc -d -u . ../e"; see '10Quit|10 *Quit'; grep -c '┌<─\\|└─\\|│/?one' screen; t send-keys Down Down F5; see 'Copy file'; t send-keys Enter; sleep 2; t send-keys F10; end; ls e`,
    expected: /^\d+\n(one|two)\nx\n$/,
    timeout: 120,
  },
  {
    name: 'nano',
    packages: ['nano', ...base],
    files: { t: 'two\n' },
    script: `${prelude}on 60 12 'nano t'; see 'Read 1 line'; t send-keys one Enter; see '^one'; t send-keys C-o; see 'File Name'; t send-keys Enter; see 'Wrote 2 lines'; t send-keys C-x; end; cat t`,
    expected: 'one\ntwo\n',
  },
  {
    name: 'fzf (interactive)',
    packages: ['fzf', ...base],
    script: `${prelude}on 40 10 'seq 500 | fzf > out'; see '500/500'; t send-keys 99; see ' 5/500'; t send-keys Down Up Up Enter; end; cat out`,
    expected: /^[1-4]?99\n$/,
  },
  {
    name: 'screen',
    packages: ['screen', ...base],
    script: `export HOME=$PWD SCREENDIR=$PWD/sd TERM=screen; mkdir -m 700 sd; screen -dmS x dash -c 'echo drawn; tty | cut -c1-9; read a; echo "<$a>" > got'; sleep 2; screen -S x -X hardcopy shot; screen -S x -X stuff 'typed^M'; i=0; until [ -s got ] || [ $i = 60 ]; do i=$((i + 1)); sleep 0.3; done; cat got; head -n 2 shot`,
    expected: '<typed>\ndrawn\n/dev/pts/\n',
  },
  {
    name: 'expect',
    packages: ['expect', ...base],
    script: `expect -c 'log_user 0; spawn dash -c "stty -echo; echo name; read a; echo got \\$a; exit 4"; expect name; send "me\\r"; expect -re "got (\\\\w+)"; puts $expect_out(1,string); expect eof; puts [lindex [wait] 3]'`,
    expected: 'me\n4\n',
  },
  {
    name: 'emacs',
    packages: ['emacs-nox', ...base],
    files: { t: 'two\n' },
    script: `${prelude}emacs --batch --eval '(progn (princ (format "%s %s\\n" (expt 2 70) (mapcar (lambda (x) (* x x)) (list 1 2 3)))) (call-process "echo" nil t nil "sub") (princ (buffer-string)))'; on 60 12 'emacs -nw -Q t'; see 'All L1'; t send-keys one Enter C-x C-s; see 'Wrote'; t send-keys C-x C-c; end; cat t`,
    expected: '1180591620717411303424 (1 4 9)\nsub\none\ntwo\n',
    timeout: 180,
  },
];
