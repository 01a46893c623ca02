import type { ProgramCase } from './case.ts';

const hello = '#include <stdio.h>\n#include "f.h"\nint main(void) { printf("%d %.3f\\n", f(6), 1.0 / 3); return 0; }\n';
const cFiles = { 'a.c': hello, 'f.c': 'int f(int x) { return x * 7; }\n', 'f.h': 'int f(int);\n' };
const base = ['coreutils', 'dash'];
const python = ['python3', 'coreutils', 'dash'];
const py = (name: string, code: string, expected: string | RegExp, more: Partial<ProgramCase> = {}): ProgramCase => ({
  name: `python3 (${name})`,
  packages: python,
  files: { 't.py': code },
  script: 'python3 t.py',
  expected,
  ...more,
});

export const languageCases: ProgramCase[] = [
  {
    name: 'gcc',
    packages: ['gcc', 'libc6-dev'],
    files: cFiles,
    script: `gcc -O2 -o p a.c f.c && ./p; gcc -g -shared -fPIC -o libf.so f.c && gcc a.c -L. -lf -o q && LD_LIBRARY_PATH=$PWD ./q; gcc -static -O1 a.c f.c -o s && ./s; objdump -d p | grep -c '<main>:'; nm p | grep -c ' T f'`,
    expected: '42 0.333\n42 0.333\n42 0.333\n1\n1\n',
    timeout: 120,
  },
  {
    name: 'make with gcc',
    packages: ['gcc', 'libc6-dev', 'make'],
    files: { ...cFiles, Makefile: 'CC = gcc\np: a.o f.o g.o h.o\n\tgcc -o $@ $^\ng.c h.c:\n\techo "int $*;" > $@\n' },
    script: `make -s -j4 && ./p`,
    expected: '42 0.333\n',
    timeout: 120,
  },
  {
    name: 'g++',
    packages: ['g++'],
    files: {
      'a.cc':
        '#include <iostream>\n#include <map>\n#include <stdexcept>\nint main() { std::map<std::string, int> m{{"a", 1}}; try { m.at("b"); } catch (const std::out_of_range &e) { std::cout << "caught " << m["a"] << std::endl; } }\n',
    },
    script: `g++ -O1 a.cc -o p && ./p`,
    expected: 'caught 1\n',
    timeout: 180,
  },
  {
    name: 'tcc',
    packages: ['tcc', 'libc6-dev'],
    files: cFiles,
    script: `tcc f.c -run a.c; tcc -o p a.c f.c && ./p`,
    expected: '42 0.333\n42 0.333\n',
  },
  {
    name: 'ccache',
    packages: ['ccache', 'gcc', 'libc6-dev'],
    files: cFiles,
    script: `export CCACHE_DIR=$PWD/cc; ccache gcc -c f.c; rm f.o; ccache gcc -c f.c; ccache -s | grep -c Hits; ls f.o`,
    expected: /\d\nf.o\n/,
    timeout: 90,
  },
  {
    name: 'go',
    packages: ['golang-go'],
    files: {
      'a.go':
        'package main\nimport "fmt"\nfunc main() { c := make(chan int); go func() { c <- 42 }(); fmt.Println(<-c) }\n',
    },
    script: `go version; HOME=$PWD GO111MODULE=off go run a.go`,
    expected: /^go version .*\n42\n$/,
    timeout: 240,
  },
  {
    name: 'perl',
    packages: ['perl', 'dash'],
    script: `perl -MList::Util=sum -MPOSIX -MData::Dumper -e 'print sum(1..100), " ", floor(2.7), " ", join(",", sort { $b <=> $a } map { $_ ** 2 } 1..4), "\\n"; $_ = "The fox"; s/(\\w+) (\\w+)/$2 \\U$1/; print "$_\\n"; my $p = fork; if (!$p) { exit 3 } waitpid $p, 0; print $? >> 8, "\\n"; open my $f, "-|", "echo piped"; print <$f>; local $SIG{ALRM} = sub { print "alarm\\n" }; alarm 1; select undef, undef, undef, 3; printf "%.3f %s\\n", atan2(1, 1) * 4, sprintf("%b", 10); $Data::Dumper::Indent = 0; print Dumper([1, { a => undef }]), "\\n"; eval { die "x\\n" }; print $@; print scalar(localtime(0)) =~ /1970/ ? "time\\n" : ""'`,
    expected: "5050 2 16,9,4,1\nfox THE\n3\npiped\nalarm\n3.142 1010\n$VAR1 = [1,{'a' => undef}];\nx\ntime\n",
  },
  {
    name: 'perl (threads, sockets)',
    packages: ['perl'],
    script: `perl -Mthreads -MThread::Queue -e 'my $q = Thread::Queue->new; my @t = map { my $n = $_; threads->create(sub { $q->enqueue($n * 10) }) } 1..3; $_->join for @t; print join(",", sort map { $q->dequeue } 1..3), "\\n"'; perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die; if (!fork) { my $c = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $s->sockport); print $c "hi\\n"; exit } my $c = $s->accept; print <$c>; wait'`,
    expected: '10,20,30\nhi\n',
  },
  py(
    'language',
    'import sys, json, re, math, hashlib, zlib, decimal, datetime, collections, itertools, struct, random, functools\nprint(sum(i * i for i in range(1000)), 2 ** 100, math.pi, 0.1 + 0.2)\nprint(json.dumps({"a": [1, 2.5, None]}), re.sub(r"(\\w)(\\d)", r"\\2\\1", "a1b2"))\nprint(hashlib.sha256(b"x").hexdigest()[:8], zlib.crc32(b"abc"), decimal.Decimal(1) / 7)\nrandom.seed(1); print(random.random(), datetime.date(2024, 2, 29).isoformat(), struct.pack("<d", 1.5).hex())\ntry:\n    1 / 0\nexcept ZeroDivisionError as e:\n    print(e)\nprint(sys.platform, sys.byteorder, sys.maxsize)\n',
    '332833500 1267650600228229401496703205376 3.141592653589793 0.30000000000000004\n{"a": [1, 2.5, null]} 1a2b\n2d711642 891568578 0.1428571428571428571428571429\n0.13436424411240122 2024-02-29 000000000000f83f\ndivision by zero\nlinux little 2147483647\n',
    { ci: true },
  ),
  py(
    'threading',
    'import threading, queue, time\nq = queue.Queue(); lock = threading.Lock(); n = 0\ndef w(i):\n    global n\n    for _ in range(200):\n        with lock: n += 1\n    q.put(i)\nts = [threading.Thread(target=w, args=(i,)) for i in range(8)]\n[t.start() for t in ts]; [t.join(10) for t in ts]\nprint(n, sorted(q.get() for _ in ts))\ne = threading.Event(); threading.Timer(0.05, e.set).start(); print(e.wait(5), e.wait(0))\nb = threading.Barrier(2); threading.Thread(target=b.wait).start(); b.wait(); print("barrier")\nc = threading.Condition()\nwith c: print(c.wait(0.01))\n',
    '1600 [0, 1, 2, 3, 4, 5, 6, 7]\nTrue True\nbarrier\nFalse\n',
    { ci: true },
  ),
  py(
    'subprocess',
    'import subprocess, os, signal\nprint(subprocess.run(["echo", "hi"], capture_output=True, text=True).stdout, end="")\ntry: subprocess.run(["nosuch"])\nexcept FileNotFoundError as e: print("ENOENT")\np = subprocess.Popen(["sleep", "10"]); p.terminate(); print(p.wait())\nprint(subprocess.check_output("cat; exit 0", shell=True, input=b"in"))\ntry: subprocess.run(["sleep", "5"], timeout=0.2)\nexcept subprocess.TimeoutExpired: print("timeout")\npid = os.fork()\nif pid == 0: os._exit(7)\nprint(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\npid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 5"], os.environ); print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\ntry: os.posix_spawn("/no/such", ["x"], {})\nexcept FileNotFoundError: print("spawn ENOENT")\nr, w = os.pipe(); os.write(w, b"x" * 10); print(len(os.read(r, 100)))\n',
    "hi\nENOENT\n-15\nb'in'\ntimeout\n7\n5\nspawn ENOENT\n10\n",
  ),
  py(
    'multiprocessing',
    'import multiprocessing as mp\ndef f(x): return x * x\ndef g(q, v, l):\n    with l: v.value += 1\n    q.put(mp.current_process().name)\nif __name__ == "__main__":\n    with mp.Pool(3) as p: print(p.map(f, range(10)))\n    q = mp.Queue(); v = mp.Value("i", 0); l = mp.Lock()\n    ps = [mp.Process(target=g, args=(q, v, l)) for _ in range(3)]\n    [p.start() for p in ps]; [q.get() for p in ps]; [p.join() for p in ps]; print(v.value)\n    a, b = mp.Pipe(); mp.Process(target=lambda: b.send([1, 2])).start(); print(a.recv())\n    from multiprocessing import shared_memory\n    s = shared_memory.SharedMemory(create=True, size=100); s.buf[0] = 5\n    def h():\n        o = shared_memory.SharedMemory(s.name); o.buf[1] = 6; o.close()\n    p = mp.Process(target=h); p.start(); p.join(); print(s.buf[1]); s.close(); s.unlink()\n    m = mp.Manager(); d = m.dict(); d["k"] = 1; print(dict(d))\n',
    "[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]\n3\n[1, 2]\n6\n{'k': 1}\n",
  ),
  py(
    'multiprocessing spawn',
    'import multiprocessing as mp\ndef f(q): q.put("spawned")\nif __name__ == "__main__":\n    c = mp.get_context("spawn"); q = c.Queue(); p = c.Process(target=f, args=(q,)); p.start(); print(q.get()); p.join()\n    c = mp.get_context("forkserver"); q = c.Queue(); p = c.Process(target=f, args=(q,)); p.start(); print(q.get()); p.join()\n',
    'spawned\nspawned\n',
  ),
  py(
    'asyncio',
    'import asyncio\nasync def serve(r, w):\n    w.write((await r.readline()).upper()); await w.drain(); w.close()\nasync def main():\n    s = await asyncio.start_server(serve, "127.0.0.1", 0)\n    port = s.sockets[0].getsockname()[1]\n    async def ask(i):\n        r, w = await asyncio.open_connection("127.0.0.1", port)\n        w.write(b"hello %d\\n" % i); d = await r.read(); w.close(); return d\n    print(await asyncio.gather(*(ask(i) for i in range(3))))\n    p = await asyncio.create_subprocess_exec("echo", "sub", stdout=asyncio.subprocess.PIPE); print((await p.communicate())[0])\n    print(await asyncio.to_thread(lambda: 5))\n    try: await asyncio.wait_for(asyncio.sleep(5), 0.05)\n    except asyncio.TimeoutError: print("timeout")\nasyncio.run(main())\n',
    "[b'HELLO 0\\n', b'HELLO 1\\n', b'HELLO 2\\n']\nb'sub\\n'\n5\ntimeout\n",
  ),
  py(
    'sqlite3',
    'import sqlite3\nc = sqlite3.connect("x.db"); c.execute("create table t(a, b)"); c.executemany("insert into t values (?, ?)", [(i, str(i)) for i in range(500)]); c.commit()\nprint(c.execute("select sum(a), max(b) from t").fetchone()); c.execute("pragma journal_mode=wal"); c.execute("delete from t where a > 10"); c.commit(); print(c.execute("select count(*) from t").fetchone())\n',
    "(124750, '99')\n(11,)\n",
  ),
  py(
    'socket, select',
    'import socket, select, os, threading\na, b = socket.socketpair(); a.send(b"x"); print(b.recv(9))\ns = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(s.getsockname()); d, _ = s.accept(); c.sendall(b"y" * 100000); c.shutdown(1)\nn = 0\nwhile True:\n    x = d.recv(65536)\n    if not x: break\n    n += len(x)\nprint(n)\nu = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0)); u.sendto(b"udp", u.getsockname()); print(u.recvfrom(10)[0])\np = select.poll(); p.register(u, select.POLLIN); print(p.poll(10)); e = select.epoll(); e.register(b, select.EPOLLOUT); print(len(e.poll(1)))\nr, w = os.pipe(); socket.send_fds(a, [b"f"], [w]); m, f, _, _ = socket.recv_fds(b, 10, 1); os.write(f[0], b"passed"); print(os.read(r, 9))\nprint(socket.getaddrinfo("localhost", 80, proto=socket.IPPROTO_TCP)[0][4][1])\nx = socket.create_server(("::1", 0), family=socket.AF_INET6) if socket.has_ipv6 else None; print(x is not None)\n',
    "b'x'\n100000\nb'udp'\n[]\n1\nb'passed'\n80\nTrue\n",
  ),
  py(
    'ssl',
    'import ssl, socket, threading, subprocess\nsubprocess.run("openssl req -x509 -newkey rsa:1024 -nodes -keyout k -out c -subj /CN=localhost -addext subjectAltName=DNS:localhost".split(), check=True, capture_output=True)\nsc = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); sc.set_ciphers("DEFAULT@SECLEVEL=0"); sc.load_cert_chain("c", "k")\ns = socket.create_server(("127.0.0.1", 0))\ndef srv():\n    c, _ = s.accept()\n    with sc.wrap_socket(c, server_side=True) as t: t.sendall(t.recv(100).upper())\nthreading.Thread(target=srv).start()\ncc = ssl.create_default_context(cafile="c"); cc.set_ciphers("DEFAULT@SECLEVEL=0")\nwith cc.wrap_socket(socket.create_connection(s.getsockname()), server_hostname="localhost") as t:\n    t.sendall(b"tls"); print(t.recv(10), t.version())\n',
    "b'TLS' TLSv1.3\n",
    { packages: [...python, 'openssl'] },
  ),
  py(
    'ctypes, mmap, signal',
    'import ctypes, mmap, signal, os, time, faulthandler\nlibc = ctypes.CDLL("libc.so.6"); print(libc.abs(-5)); libm = ctypes.CDLL("libm.so.6"); libm.cos.restype = ctypes.c_double; libm.cos.argtypes = [ctypes.c_double]; print(libm.cos(0.0))\nCB = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int)); a = (ctypes.c_int * 5)(3, 1, 2, 5, 4); libc.qsort(a, 5, 4, CB(lambda x, y: x[0] - y[0])); print(list(a))\nm = mmap.mmap(-1, 8192); m[0:3] = b"abc"\nif os.fork() == 0: m[0:1] = b"z"; os._exit(0)\nos.wait(); print(m[0:3])\nopen("f", "wb").write(b"x" * 5000); f = open("f", "r+b"); k = mmap.mmap(f.fileno(), 0); k[4999:5000] = b"!"; k.flush(); print(open("f", "rb").read()[-1:])\nsignal.signal(signal.SIGALRM, lambda s, f: print("alarm")); signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(0.2)\ntry: ctypes.CDLL("nosuch.so")\nexcept OSError as e: print(str(e)[:9])\nfaulthandler.enable()\nif os.fork() == 0: ctypes.string_at(0)\nprint(os.waitstatus_to_exitcode(os.wait()[1]))\n',
    /^5\n1.0\n\[1, 2, 3, 4, 5\]\nb'zbc'\nb'!'\nalarm\nnosuch.so\n-11\n$/m,
  ),
  {
    name: 'python3-numpy',
    packages: ['python3-numpy'],
    script: `export LD_LIBRARY_PATH=/usr/lib/$TRIPLET/blas:/usr/lib/$TRIPLET/lapack; python3 -c 'import numpy as np; a = np.arange(12.).reshape(3, 4); print((a @ a.T).tolist()); print(np.linalg.det(np.array([[2., 1], [1, 3]])).round(6), np.fft.fft([1, 2, 3, 4]).tolist(), np.random.default_rng(1).random(2).tolist())'`,
    expected:
      '[[14.0, 38.0, 62.0], [38.0, 126.0, 214.0], [62.0, 214.0, 366.0]]\n5.0 [(10+0j), (-2+2j), (-2+0j), (-2-2j)] [0.5118216247002567, 0.9504636963259353]\n',
  },
  {
    name: 'pip',
    packages: ['python3-pip'],
    script: `HOME=$PWD python3 -m pip list --disable-pip-version-check 2>/dev/null | grep -c pip`,
    expected: '1\n',
    timeout: 120,
  },
  {
    name: 'ruby',
    packages: ['ruby'],
    script: `ruby -e 'puts (1..10).map { |x| x * x }.sum, 2 ** 80, "abc".reverse, Math.sqrt(2); q = Queue.new; t = 3.times.map { |i| Thread.new { q << i } }; t.each(&:join); p q.size; puts \`echo sub\`; pid = fork { exit 4 }; Process.wait pid; p $?.exitstatus; require "json"; puts JSON.generate({ a: [1, nil] }); require "socket"; s = TCPServer.new("127.0.0.1", 0); Thread.new { c = s.accept; c.puts c.gets.upcase; c.close }; c = TCPSocket.new("127.0.0.1", s.addr[1]); c.puts "x"; puts c.read; f = Fiber.new { Fiber.yield 1; 2 }; p f.resume, f.resume; require "digest"; puts Digest::MD5.hexdigest("a")'`,
    expected:
      '385\n1208925819614629174706176\ncba\n1.4142135623730951\n3\nsub\n4\n{"a":[1,null]}\nX\n1\n2\n0cc175b9c0f1b6a831c399e269772661\n',
  },
  {
    name: 'lua',
    packages: ['lua5.4'],
    script: `lua5.4 -e 'local t = {}; for i = 1, 5 do t[#t + 1] = i * i end; print(table.concat(t, ","), 7 // 2, 2^53, string.format("%5.2f", 1 / 3), ("x"):rep(3)); local f = io.popen("echo sub"); print(f:read("a")); print(pcall(error, "e")); local c = coroutine.wrap(function() coroutine.yield(1) end); print(c())'`,
    expected: '1,4,9,16,25\t3\t9.007199254741e+15\t 0.33\txxx\nsub\n\nfalse\te\n1\n',
  },
  {
    name: 'luajit',
    packages: ['luajit'],
    script: `luajit -e 'local s = 0; for i = 1, 3000000 do s = s + i % 7 end; print(s, jit and jit.status()); local ffi = require("ffi"); ffi.cdef "int abs(int); double cos(double);"; print(ffi.C.abs(-3), ffi.load("m").cos(0)); local t = {}; for i = 1, 1000 do t[i] = tostring(i) end; print(#table.concat(t))'`,
    expected: /^8999997\t(true|false).*\n3\t1\n2893\n$/,
  },
  {
    name: 'php',
    packages: ['php8.2-cli'],
    script: `php8.2 -n -r 'echo array_sum(range(1, 100)), " ", json_encode(["a" => 1.5]), " ", preg_replace("/b+/", "x", "abbc"), " ", md5("a"), " ", number_format(1234.567, 2), PHP_EOL; echo shell_exec("echo sub"); function g() { yield 1; yield 2; } foreach (g() as $v) echo $v; echo intdiv(7, 2), PHP_INT_SIZE, " ", sqrt(2), PHP_EOL; try { throw new Exception("e"); } catch (Exception $e) { echo $e->getMessage(), PHP_EOL; }'`,
    expected: '5050 {"a":1.5} axc 0cc175b9c0f1b6a831c399e269772661 1,234.57\nsub\n1234 1.4142135623731\ne\n'.replace(
      '1234 ',
      '1234 ',
    ),
  },
  {
    name: 'tcl',
    packages: ['tcl'],
    script: `echo 'puts [expr {2**100}] ; puts [lsort -integer {3 1 2}]; puts [exec echo sub]; set s [socket -server {apply {{c a p} {puts $c hi; close $c}}} -myaddr 127.0.0.1 0]; set c [socket 127.0.0.1 [lindex [fconfigure $s -sockname] 2]]; fileevent $c readable {puts [gets $c]; fileevent $c readable {}; set done 1}; vwait done; after 10 {set d 1}; vwait d; puts [format %.3f [expr {sin(1)}]]' | tclsh8.6`,
    expected: '1267650600228229401496703205376\n1 2 3\nsub\nhi\n0.841\n',
  },
  {
    name: 'guile',
    packages: ['guile-3.0'],
    script: `HOME=$PWD guile-3.0 --no-auto-compile -c '(display (apply + (iota 101))) (newline) (display (expt 2 100)) (newline) (use-modules (ice-9 threads) (ice-9 popen) (ice-9 rdelim)) (display (join-thread (make-thread (lambda () 5)))) (newline) (display (read-line (open-input-pipe "echo sub"))) (newline) (display (call/cc (lambda (k) (+ 1 (k 9))))) (newline)'`,
    expected: '5050\n1267650600228229401496703205376\n5\nsub\n9\n',
    timeout: 120,
  },
  {
    name: 'node',
    packages: ['nodejs'],
    script: `node -e 'console.log(process.arch, [3, 1, 2].sort().join(), 2n ** 100n, /(?<y>\\d+)/.exec("a42").groups.y, JSON.stringify({ a: [1] })); setTimeout(() => console.log("timer"), 10); require("child_process").exec("echo sub", (e, o) => console.log(o.trim())); Promise.resolve(5).then(console.log)'`,
    expected: /^arm 1,2,3 1267650600228229401496703205376n 42 {"a":\[1\]}\n5\n(timer\nsub|sub\ntimer)\n$/,
    timeout: 180,
  },
  {
    name: 'node (http, worker, fs)',
    packages: ['nodejs'],
    files: {
      't.cjs':
        'const http = require("http"), { Worker } = require("worker_threads"), fs = require("fs");\nconst s = http.createServer((q, r) => r.end("ok " + q.url)).listen(0, "127.0.0.1", () => http.get({ port: s.address().port, path: "/x" }, (r) => r.on("data", (d) => { console.log(String(d)); s.close(); const w = new Worker("require(\'worker_threads\').parentPort.postMessage(7)", { eval: true }); w.on("message", (m) => { console.log(m); fs.promises.writeFile("o", "data").then(() => console.log(fs.readFileSync("o", "utf8"), require("crypto").createHash("md5").update("a").digest("hex"), require("zlib").gunzipSync(require("zlib").gzipSync("z")).toString())); }); })));\n',
    },
    script: 'node t.cjs',
    expected: 'ok /x\n7\ndata 0cc175b9c0f1b6a831c399e269772661 z\n',
    timeout: 180,
  },
  {
    name: 'java',
    packages: ['openjdk-17-jre-headless'],
    script: `/usr/lib/jvm/java-17-openjdk-$ARCH/bin/java -version 2>&1 | head -n 1`,
    expected: /openjdk version "17/,
    timeout: 180,
  },
  {
    name: 'erlang',
    packages: ['erlang-base'],
    script: `HOME=$PWD erl -noshell -eval 'io:format("~p ~p~n", [lists:sum(lists:seq(1, 100)), math:pow(2, 10)]), P = self(), spawn(fun() -> P ! hi end), receive hi -> io:format("got~n") end, io:format("~s", [os:cmd("echo sub")]), halt().'`,
    expected: '5050 1024.0\ngot\nsub\n',
    timeout: 120,
  },
  {
    name: 'ocaml',
    packages: ['ocaml-nox'],
    files: {
      'a.ml':
        'let rec f n = if n < 2 then n else f (n - 1) + f (n - 2)\nlet () = Printf.printf "%d %.3f\\n" (f 18) (sqrt 2.)\n',
    },
    script: `ocaml a.ml; ocamlopt a.ml -o a 2>&1 && ./a`,
    expected: '2584 1.414\n2584 1.414\n',
    timeout: 120,
  },
  {
    name: 'sbcl',
    packages: ['sbcl'],
    script: `sbcl --no-userinit --non-interactive --eval '(progn (defun f (n) (if (< n 2) n (+ (f (- n 1)) (f (- n 2))))) (format t "~a ~a~%" (f 18) (expt 2 100)))' 2>&1 | tail -n 1`,
    expected: '2584 1267650600228229401496703205376\n',
  },
  {
    name: 'clisp',
    packages: ['clisp'],
    script: `clisp -q -norc -x '(format t "~a~%" (expt 2 100))' | grep -c 1267650600228229401496703205376`,
    expected: /^[12]\n/,
  },
  {
    name: 'gforth',
    packages: ['gforth'],
    script: `gforth -e ': f dup 2 < if exit then dup 1- recurse swap 2 - recurse + ; 15 f . cr bye'`,
    expected: '610 \n',
  },
  { name: 'chicken', packages: ['chicken-bin'], script: `csi -n -e '(display (+ 1 2)) (newline)'`, expected: '3\n' },
  {
    name: 'nasm',
    packages: ['nasm'],
    files: { 'a.s': 'mov eax, 1\n' },
    script: `nasm -f bin a.s -o o -O0 && od -An -tx1 o`,
    expected: ' 66 b8 01 00 00 00\n',
  },
  {
    name: 'bison, flex',
    packages: ['bison', 'flex', 'm4'],
    files: { 'a.y': '%token A\n%%\ns: A | s A;\n%%\n', 'a.l': '%%\na return 1;\n' },
    script: `bison a.y 2>/dev/null; ls *.c; flex a.l; ls lex*`,
    expected: 'a.tab.c\nlex.yy.c\n',
  },
  {
    name: 'gdb',
    packages: ['gdb'],
    script: `HOME=$PWD gdb -batch -nx -ex 'print 6*7' -ex 'python print(1+1)'`,
    expected: '$1 = 42\n2\n',
  },
  {
    name: 'cmake',
    packages: ['cmake', 'gcc', 'libc6-dev', 'make'],
    files: {
      'CMakeLists.txt': 'cmake_minimum_required(VERSION 3.10)\nproject(p C)\nadd_executable(p a.c f.c)\n',
      ...cFiles,
    },
    script: `cmake -S . -B b > log 2>&1 && make -s -C b > /dev/null && b/p || tail log`,
    expected: '42 0.333\n',
    timeout: 300,
  },
  {
    name: 'ninja',
    packages: ['ninja-build'],
    files: { 'build.ninja': 'rule c\n command = cp $in $out\nbuild o: c i\n', i: 'x\n' },
    script: `ninja --quiet && cat o`,
    expected: 'x\n',
  },
  {
    name: 'musl',
    packages: ['musl', 'musl-dev', 'gcc'],
    files: { 'a.c': '#include <stdio.h>\nint main(void) { puts("musl"); }\n' },
    script: `gcc -nostdinc -isystem $SYSROOT/usr/include/$MUSL_TRIPLET -o p a.c -nostdlib -Wl,-dynamic-linker=/lib/ld-musl-$MUSL_ARCH.so.1 -L/usr/lib/$MUSL_TRIPLET /usr/lib/$MUSL_TRIPLET/crt1.o -lc && ./p`,
    expected: 'musl\n',
    timeout: 90,
  },
  {
    name: 'git',
    packages: ['git'],
    files: { 'g/a': 'one\n' },
    script: `export HOME=$PWD GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='1000000000 +0000' GIT_COMMITTER_DATE='1000000000 +0000'; cd g; git init -q -b main; git add .; git commit -qm first; echo two >> a; git commit -qam second; git log --oneline; git diff HEAD~ --stat | tail -n 1; cd ..; git clone -q g h; cd h; git log -1 --format=%H; git checkout -q -b x; echo three > b; git add b; git commit -qm third; git push -q origin x; cd ../g; git branch; git merge -q x; cat b; git gc -q; git fsck; git stash list; git rebase -q HEAD~1; git grep -c o`,
    expected: /second\n\w+ first\n 1 file changed, 1 insertion\(\+\)\n[0-9a-f]{40}\n\* main\n {2}x\nthree\na:2\n$/,
    timeout: 120,
  },
  {
    name: 'java (javac, threads)',
    packages: ['openjdk-17-jdk-headless', ...base],
    files: {
      'A.java':
        'import java.util.stream.*;\npublic class A { static int f(int n) { return n < 2 ? n : f(n - 1) + f(n - 2); }\n  public static void main(String[] a) throws Exception {\n    Thread t = new Thread(() -> System.out.println("thread")); t.start(); t.join();\n    System.out.println(f(22) + " " + Math.sqrt(2) + " " + IntStream.rangeClosed(1, 100).parallel().sum());\n    try { Object o = null; o.hashCode(); } catch (NullPointerException e) { System.out.println("null"); }\n  } }\n',
    },
    script: `j=/usr/lib/jvm/java-17-openjdk-$ARCH/bin; $j/javac A.java && $j/java A`,
    expected: 'thread\n17711 1.4142135623730951 5050\nnull\n',
    timeout: 400,
  },
  {
    name: 'mono',
    packages: ['mono-mcs', 'mono-runtime', ...base],
    files: {
      'a.cs':
        'using System; using System.Linq; using System.Threading;\nclass A { static int F(int n) { return n < 2 ? n : F(n - 1) + F(n - 2); }\n static void Main() { var t = new Thread(() => Console.WriteLine("thread")); t.Start(); t.Join(); Console.WriteLine(F(20) + " " + Math.Sqrt(2) + " " + Enumerable.Range(1, 100).Sum()); try { object o = null; o.GetHashCode(); } catch (NullReferenceException) { Console.WriteLine("null"); } } }\n',
    },
    // It looks for its settings beside where /proc/self/exe says it is, which is below the sysroot.
    script: `export HOME=$PWD MONO_CFG_DIR=/etc; mono /usr/lib/mono/4.5/mcs.exe a.cs && mono a.exe`,
    expected: /^thread\n6765 1.4142135623731 5050\nnull\n$|^thread\n6765 1.4142135623730951 5050\nnull\n$/,
    timeout: 240,
  },
  {
    name: 'fpc',
    packages: ['fp-compiler', 'fp-units-rtl', 'binutils', ...base],
    files: {
      'a.pas':
        "var i: integer; s: int64;\nbegin s := 0; for i := 1 to 1000 do s := s + i * i; writeln(s, ' ', sqrt(2):0:6) end.\n",
    },
    script: `fpc=$(ls /usr/lib/$TRIPLET/fpc/*/ppc* | grep -v ppcX | head -n 1); $fpc -Fu$(echo $(dirname $fpc)/units/*-linux/rtl) a.pas > log || cat log; ./a`,
    expected: '333833500 1.414214\n',
    timeout: 90,
  },
  {
    name: 'gfortran',
    packages: ['gfortran', 'libc6-dev', ...base],
    files: {
      'a.f90':
        'program a\n real(8) :: x(100)\n integer :: i\n x = [(sqrt(real(i, 8)), i = 1, 100)]\n print "(f12.6,1x,i0)", sum(x), maxloc(x)\nend program\n',
    },
    script: `gfortran -O2 a.f90 -o a && ./a`,
    expected: '  671.462947 100\n',
    timeout: 120,
  },
  {
    name: 'swi-prolog',
    packages: ['swi-prolog-nox'],
    script: `swipl -q -g 'findall(X-Y, (member(X, [1, 2, 3]), Y is X ** 30), L), print(L), nl, length(Q, 3), writeln(ok), thread_create(writeln(thread), T), thread_join(T), halt'`,
    expected: '[1-1,2-1073741824,3-205891132094649]\nok\nthread\n',
  },
  {
    name: 'ecl',
    packages: ['ecl'],
    script: `ecl --norc --eval '(progn (format t "~a ~a~%" (expt 2 100) (/ 6 4)) (handler-case (car 5) (error () (format t "error~%"))) (ext:quit 0))'`,
    expected: '1267650600228229401496703205376 3/2\nerror\n',
  },
  {
    name: 'chez scheme',
    packages: ['chezscheme'],
    files: {
      'a.ss':
        '(define (f n) (if (< n 2) n (+ (f (- n 1)) (f (- n 2)))))\n(display (list (f 20) (expt 2 100) (call/cc (lambda (k) (+ 1 (k 5))))))\n(newline)\n',
    },
    script: `chezscheme --script a.ss`,
    expected: '(6765 1267650600228229401496703205376 5)\n',
  },
  {
    name: 'racket',
    packages: ['racket'],
    script: `racket -n -e '(displayln (for/sum ([i 101]) i)) (displayln (expt 2 100)) (thread-wait (thread (lambda () (displayln "thread")))) (displayln (regexp-replace "b+" "abbc" "x"))'`,
    expected: '5050\n1267650600228229401496703205376\nthread\naxc\n',
    timeout: 180,
  },
  {
    name: 'polyml',
    packages: ['polyml'],
    script: `echo 'fun f 0 = 1 | f n = n * f (n - 1); print (IntInf.toString (f 25) ^ "\\n"); (hd []; ()) handle Empty => print "empty\\n";' | poly -q > log; grep -c 15511210043330985984000000 log; grep -c '^empty' log`,
    expected: /^[12]\n1\n$/,
  },
  {
    name: 'elixir',
    packages: ['elixir', ...base],
    script: `HOME=$PWD elixir -e 'IO.puts Enum.sum(1..100); t = Task.async(fn -> 6 * 7 end); IO.puts Task.await(t); IO.inspect Regex.replace(~r/b+/, "abbc", "x")'`,
    expected: '5050\n42\n"axc"\n',
    timeout: 180,
  },
  {
    name: 'pypy3',
    packages: ['pypy3'],
    script: `pypy3 -c 'import sys; print(sys.implementation.name, sum(i * i % 7 for i in range(300000)), 2 ** 100)'`,
    expected: 'pypy 428572 1267650600228229401496703205376\n',
    timeout: 120,
  },
  {
    name: 'nim',
    packages: ['nim', 'gcc', 'libc6-dev', ...base],
    files: { 'a.nim': 'import sequtils, strutils\necho toSeq(1..5).mapIt(it * it).join(","), " ", 2.0 / 3\n' },
    script: `HOME=$PWD nim c --hints:off --nimcache:$PWD/n -r a.nim`,
    expected: '1,4,9,16,25 0.6666666666666666\n',
    timeout: 240,
  },
  {
    name: 'rustc',
    packages: ['rustc', 'gcc', 'libc6-dev'],
    files: {
      'a.rs':
        'fn main() { let t = std::thread::spawn(|| (1..=100).sum::<u32>()); println!("{} {:.3}", t.join().unwrap(), 2f64.sqrt()); let r = std::panic::catch_unwind(|| { let v: Vec<u8> = vec![]; v[1] }); println!("{}", r.is_err()); }\n',
    },
    script: `rustc -O a.rs && ./a 2> log; grep -c panicked log`,
    expected: '5050 1.414\ntrue\n1\n',
    timeout: 300,
  },
  {
    name: 'clang',
    packages: ['clang', 'libc6-dev', 'gcc'],
    files: cFiles,
    script: `clang -O2 -o p a.c f.c && ./p; clang -S -emit-llvm -O1 f.c -o - | grep -c 'mul'`,
    expected: /^42 0.333\n[1-9]\n$/,
    timeout: 240,
  },
  {
    name: 'autoconf, automake',
    packages: ['autoconf', 'automake', 'gcc', 'libc6-dev', 'make', 'perl', 'sed', 'grep', 'gawk', 'diffutils', ...base],
    files: {
      'configure.ac':
        'AC_INIT([p], [1])\nAM_INIT_AUTOMAKE([foreign])\nAC_PROG_CC\nAC_CHECK_HEADERS([stdint.h nosuch.h])\nAC_CHECK_FUNCS([getpid nosuch])\nAC_CHECK_SIZEOF([long])\nAC_CONFIG_HEADERS([config.h])\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n',
      'Makefile.am': 'check_PROGRAMS = p\np_SOURCES = a.c f.c f.h\nTESTS = p\n',
      ...cFiles,
    },
    script: `autoreconf -i > log 2>&1 && ./configure --disable-dependency-tracking > log 2>&1 && make -s check > log 2>&1 || tail log; grep -E 'SIZEOF_LONG|GETPID|NOSUCH' config.h; grep '# PASS' log`,
    expected:
      '#define HAVE_GETPID 1\n/* #undef HAVE_NOSUCH */\n/* #undef HAVE_NOSUCH_H */\n#define SIZEOF_LONG 4\n# PASS:  1\n',
    timeout: 600,
  },
  {
    name: 'python3-cryptography',
    packages: ['python3-cryptography'],
    script: `python3 -c 'from cryptography.fernet import Fernet; k = Fernet.generate_key(); print(Fernet(k).decrypt(Fernet(k).encrypt(b"x")))
from cryptography.hazmat.primitives.asymmetric import ed25519; k = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)); print(k.sign(b"m").hex()[:16])'`,
    expected: /^b'x'\n[0-9a-f]{16}\n$/,
  },
  {
    name: 'python3-gevent',
    packages: ['python3-gevent', 'python3-pytest'],
    files: {
      't_gevent.py':
        'from gevent import monkey; monkey.patch_all()\nimport gevent, socket, threading\ndef test_switch():\n    log = []\n    def f(n):\n        for i in range(3): log.append((i, n)); gevent.sleep(0)\n    gevent.joinall([gevent.spawn(f, n) for n in "ab"])\n    assert log == [(i, n) for i in range(3) for n in "ab"]\ndef test_socket():\n    s = socket.create_server(("127.0.0.1", 0))\n    t = threading.Thread(target=lambda: s.accept()[0].sendall(b"hi")); t.start()\n    assert socket.create_connection(s.getsockname()).recv(9) == b"hi"\n',
    },
    script: `python3 -m pytest -q -p no:cacheprovider t_gevent.py | tail -n 1 | cut -c1-8`,
    expected: '2 passed\n',
    timeout: 120,
  },
  {
    name: 'perl (prove)',
    packages: ['perl', ...base],
    files: {
      't/a.t':
        'use Test::More tests => 3; is(1 + 1, 2); is_deeply([sort { $a <=> $b } 10, 9], [9, 10]); like("abc", qr/b/);\n',
      't/b.t':
        'use Test::More; for (1 .. 50) { ok(sqrt($_ ** 2) == $_) } my $pid = open(my $h, "-|") // die; if (!$pid) { print "child"; exit } is(<$h>, "child"); done_testing;\n',
    },
    script: `prove -j2 t | tail -n 2 | cut -d, -f1-2`,
    expected: 'Files=2, Tests=54\nResult: PASS\n',
  },
];
