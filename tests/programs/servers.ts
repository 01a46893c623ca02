import type { ProgramCase } from './case.ts';

const site = { 'www/a.txt': Array.from({ length: 2000 }, (_, i) => `${i}\n`).join('') };
const base = ['dash', 'coreutils'];
/** Waits until something listens on a port: `up PORT`. */
const up = `up() { for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do nc.openbsd -z 127.0.0.1 $1 2> nc.log && return; sleep 0.3; done; echo port $1 is closed; }
`;
const network = [...base, 'netcat-openbsd'];

const nginxConf = `user root root; daemon on; worker_processes 2; error_log error.log; pid nginx.pid;
events { worker_connections 64; }
http { access_log access.log; client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t;
scgi_temp_path t; sendfile on; server { listen 127.0.0.1:17102; root www; location /p/ { proxy_pass http://127.0.0.1:17102/; } } }
`;

/** Servers and their clients, all guests. Each has ports of its own. */
export const serverCases: ProgramCase[] = [
  {
    name: 'redis',
    packages: ['redis-server', 'redis-tools', ...network],
    script: `${up}redis-server --port 17101 --save '' --dir . > log & p=$!; up 17101
redis-cli -p 17101 set a 5; redis-cli -p 17101 incr a
redis-benchmark -p 17101 -n 1000 -c 8 -q -t set,get,lpush | tr '\\r' '\\n' | grep -c 'per second'
redis-cli -p 17101 eval 'return redis.call("get", KEYS[1]) * 2' 1 a
redis-cli -p 17101 bgsave; sleep 1; ls *.rdb; redis-cli -p 17101 shutdown nosave; wait $p; echo $?`,
    expected: 'OK\n6\n3\n12\nBackground saving started\ndump.rdb\n0\n',
    timeout: 120,
  },
  {
    name: 'nginx',
    packages: ['nginx-light', 'curl', 'wget', 'apache2-utils', ...network],
    files: { ...site, 'nginx.conf': nginxConf },
    script: `${up}nginx -p $PWD/ -c nginx.conf; up 17102; sum=$(sha1sum < www/a.txt)
for path in a.txt p/a.txt; do [ "$(curl -s http://127.0.0.1:17102/$path | sha1sum)" = "$sum" ] && echo same; done
curl -sI http://127.0.0.1:17102/none | head -n 1 | tr -d '\\r'; [ "$(wget -qO- http://127.0.0.1:17102/a.txt | sha1sum)" = "$sum" ] && echo same
ab -q -n 100 -c 10 http://127.0.0.1:17102/a.txt | grep -E 'Complete|Failed' | tr -s ' '
nginx -p $PWD/ -c nginx.conf -s reload 2> log; sleep 1; curl -s http://127.0.0.1:17102/a.txt | wc -l; nginx -p $PWD/ -c nginx.conf -s quit 2> log`,
    expected: 'same\nsame\nHTTP/1.1 404 Not Found\nsame\nComplete requests: 100\nFailed requests: 0\n2000\n',
    timeout: 120,
  },
  {
    name: 'lighttpd',
    packages: ['lighttpd', 'curl', ...network],
    files: {
      ...site,
      conf: 'server.document-root = var.CWD + "/www"\nserver.port = 17103\nserver.bind = "127.0.0.1"\n',
    },
    script: `${up}lighttpd -D -f conf 2> log & p=$!; up 17103; curl -s http://127.0.0.1:17103/a.txt | wc -l; kill $p; wait $p; echo $?`,
    expected: '2000\n0\n',
  },
  {
    name: 'busybox httpd',
    packages: ['busybox', ...network],
    files: site,
    script: `${up}busybox httpd -f -p 127.0.0.1:17104 -h www & p=$!; up 17104; for i in 1 2 3; do busybox wget -qO- http://127.0.0.1:17104/a.txt | wc -l; done; kill $p; wait $p; echo $?`,
    expected: '2000\n2000\n2000\nTerminated\n143\n',
  },
  {
    name: 'socat',
    packages: ['socat', ...network],
    script: `${up}socat TCP-LISTEN:17105,reuseaddr,fork,bind=127.0.0.1 EXEC:'tr a-z A-Z' & a=$!; socat UNIX-LISTEN:s,fork EXEC:cat & b=$!; up 17105
echo hello | socat - TCP:127.0.0.1:17105; echo two | nc.openbsd -N 127.0.0.1 17105; echo unix | socat - UNIX-CONNECT:s; kill $a $b; wait $a $b; echo pty | socat - EXEC:cat,pty,raw,echo=0`,
    expected: 'HELLO\nTWO\nunix\npty\n',
  },
  {
    name: 'memcached',
    packages: ['memcached', ...network],
    script: `${up}memcached -u root -p 17106 -l 127.0.0.1 & p=$!; up 17106; printf 'set k 0 0 5\\r\\nhello\\r\\nget k\\r\\nquit\\r\\n' | nc.openbsd -N 127.0.0.1 17106 | tr -d '\\r'; kill $p`,
    expected: /^STORED\nVALUE k 0 5\nhello\nEND\n/,
  },
  {
    name: 'mosquitto',
    packages: ['mosquitto', 'mosquitto-clients', ...network],
    script: `${up}mosquitto -p 17107 2> log & p=$!; up 17107; mosquitto_sub -p 17107 -t a -C 1 & s=$!; sleep 2; mosquitto_pub -p 17107 -t a -m hello; wait $s; kill $p`,
    expected: 'hello\n',
  },
  {
    name: 'dnsmasq',
    packages: ['dnsmasq-base', 'perl', ...base],
    script: `dnsmasq -k -p 17108 -h -R --address=/foo.test/1.2.3.4 --listen-address=127.0.0.1 -z --user=root & p=$!; sleep 2; perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 0); alarm 9; send(S, "\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\3foo\\4test\\0\\0\\1\\0\\1", 0, sockaddr_in(17108, inet_aton("127.0.0.1"))); recv(S, $b, 512, 0); print join(".", unpack("C4", substr($b, -4))), "\\n"'; kill $p`,
    expected: '1.2.3.4\n',
  },
  {
    name: 'iperf3',
    packages: ['iperf3', ...network],
    script:
      `${up}iperf3 -s -1 -p 17109 > log & p=$!; up 17110; sleep 1; iperf3 -c 127.0.0.1 -p 17109 -t 1 | grep -c receiver; wait $p`.replace(
        'up 17110; ',
        '',
      ),
    expected: '1\n',
  },
  {
    name: 'haproxy',
    packages: ['haproxy', 'busybox', ...network],
    files: {
      ...site,
      conf: 'defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\nfrontend f\n bind 127.0.0.1:17111\n default_backend b\nbackend b\n server s 127.0.0.1:17112\n',
    },
    script: `${up}busybox httpd -f -p 127.0.0.1:17112 -h www & b=$!; haproxy -db -f conf 2> log & p=$!; up 17111; busybox wget -qO- http://127.0.0.1:17111/a.txt | wc -l; kill $p $b`,
    expected: '2000\n',
  },
  {
    name: 'tinyproxy',
    packages: ['tinyproxy-bin', 'busybox', 'curl', ...network],
    files: { ...site, conf: 'Port 17113\nListen 127.0.0.1\nTimeout 60\nMaxClients 10\n' },
    script: `${up}busybox httpd -f -p 127.0.0.1:17114 -h www & b=$!; tinyproxy -d -c conf > log & p=$!; up 17113; curl -s -x http://127.0.0.1:17113 http://127.0.0.1:17114/a.txt | wc -l; kill $p $b`,
    expected: '2000\n',
  },
  {
    name: 'apache2',
    packages: ['apache2-bin', 'curl', ...network],
    files: {
      ...site,
      conf: 'LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\nLoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\nListen 127.0.0.1:17115\nServerName x\nPidFile pid\nErrorLog error.log\n',
    },
    script: `${up}echo "ServerRoot $PWD
DocumentRoot $PWD/www
DefaultRuntimeDir $PWD" >> conf; apache2 -X -f $PWD/conf & p=$!; up 17115; curl -s http://127.0.0.1:17115/a.txt | wc -l; kill $p; wait $p; echo $?`,
    expected: '2000\n0\n',
  },
  {
    name: 'openssh',
    packages: ['openssh-server', 'openssh-client', 'libnss-wrapper', 'util-linux', ...network],
    // A user of its own: sshd as root wants chroot(2), which a guest can do with --root only.
    script: `${up}for i in u:x:1000 me:x:$(id -u); do echo "$i:1000::$PWD:/bin/sh"; done > passwd; export LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD=$PWD/passwd NSS_WRAPPER_GROUP=/dev/null
for name in key host; do ssh-keygen -q -t ed25519 -N '' -f $name; done; cp key.pub auth; ssh-keygen -l -f key | cut -d' ' -f1,4
setpriv --reuid=1000 --regid=1000 --clear-groups $(command -v sshd) -f /dev/null -D -e -p 17116 -h $PWD/host -o ListenAddress=127.0.0.1 -o AuthorizedKeysFile=$PWD/auth -o StrictModes=no -o UsePAM=no -o PidFile=none 2> log & p=$!; up 17116
setpriv --reuid=1000 --regid=1000 --clear-groups ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=$PWD/known -i key -p 17116 u@127.0.0.1 'echo remote; exit 3' 2> err; echo $?; kill $p`,
    expected: '256 (ED25519)\nremote\n3\n',
    timeout: 120,
  },
  {
    name: 'curl (TLS)',
    packages: ['curl', 'openssl', ...network],
    script: `${up}openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -subj /CN=localhost -addext subjectAltName=DNS:localhost 2> log; openssl s_server -accept 17117 -cert c -key k -www > log 2>&1 & p=$!; up 17117; curl -s --cacert c https://localhost:17117/ | grep -c TLSv1.3; kill $p`,
    expected: /^[1-9]\d*\n$/,
  },
  {
    name: 'postgres',
    packages: ['postgresql-15', 'postgresql-client-15', 'libnss-wrapper', 'util-linux', ...network],
    // initdb and postgres refuse to be root.
    script: `${up}echo "u:x:1000:1000::$PWD:/bin/sh" > passwd; export LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD=$PWD/passwd NSS_WRAPPER_GROUP=/dev/null HOME=$PWD
as() { setpriv --reuid=1000 --regid=1000 --clear-groups "$@"; }
b=/usr/lib/postgresql/15/bin; as $b/initdb -D d -A trust -N --no-locale > log 2>&1 || tail log; as $b/postgres -D d -p 17118 -k $PWD -c listen_addresses=127.0.0.1 -c fsync=off > server.log 2>&1 & p=$!; up 17118; sleep 2
q() { as $b/psql -h 127.0.0.1 -p 17118 -d postgres -qAt -c "$1"; }
q 'create table t(a int primary key, b text); insert into t select i, md5(i::text) from generate_series(1, 1000) i'; q 'select count(*), sum(a), max(b) from t'; q "select b from t where a = 500 order by b" & q 'select round(avg(a), 2) from t'; wait $!
kill -INT $p; wait $p; echo $?`,
    expected:
      /^1000\|500500\|ff\w+\n(cee631121c2ec9232f3a2f028ad5c89b\n500.50|500.50\ncee631121c2ec9232f3a2f028ad5c89b)\n0\n$/,
    timeout: 300,
  },
  {
    name: 'mariadb',
    packages: ['mariadb-server-core', 'mariadb-client-core', ...network],
    script: `${up}mkdir d; mariadbd --no-defaults --user=root --datadir=$PWD/d --socket=$PWD/s --port=17119 --bind-address=127.0.0.1 --skip-grant-tables --innodb-buffer-pool-size=8M --pid-file=$PWD/pid --aria-log-dir-path=$PWD/d > log 2>&1 & p=$!; up 17119
q() { mariadb --no-defaults -h 127.0.0.1 -P 17119 -N -e "$1"; }
q "create database x; create table x.t(a int primary key, b varchar(40)) engine=InnoDB; insert into x.t values (1, md5('a')), (2, 'zwei')"; q 'select count(*), sum(a), max(b) from x.t'; kill $p; wait $p; echo $?`,
    expected: '2\t3\tzwei\n0\n',
    timeout: 240,
  },
  {
    name: 'stunnel',
    packages: ['stunnel4', 'openssl', 'busybox', 'curl', ...network],
    files: {
      ...site,
      conf: 'foreground = yes\npid =\n[x]\naccept = 127.0.0.1:17120\nconnect = 127.0.0.1:17121\ncert = c\nkey = k\n',
    },
    script: `${up}openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out c -subj /CN=localhost -addext subjectAltName=DNS:localhost 2> log; busybox httpd -f -p 127.0.0.1:17121 -h www & b=$!; stunnel4 conf > log 2>&1 & p=$!; up 17120; curl -s --cacert c https://localhost:17120/a.txt | wc -l; kill $p $b`,
    expected: '2000\n',
  },
  {
    name: 'unbound, dig',
    packages: ['unbound', 'bind9-dnsutils', ...network],
    files: {
      conf: 'server:\n interface: 127.0.0.1\n port: 17122\n username: ""\n chroot: ""\n directory: "."\n pidfile: ""\n do-daemonize: no\n use-syslog: no\n num-threads: 2\n local-zone: "foo.test." static\n local-data: "foo.test. A 1.2.3.4"\n local-data: "foo.test. TXT hello"\n',
    },
    script: `unbound -c conf 2> log & p=$!; sleep 3; dig @127.0.0.1 -p 17122 foo.test A +short; dig @127.0.0.1 -p 17122 foo.test TXT +short +tcp; kill $p; wait $p; echo $?`,
    expected: '1.2.3.4\n"hello"\n0\n',
  },
  {
    name: 'dbus',
    packages: ['dbus-daemon', 'dbus-bin', ...base],
    files: {
      conf: '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "x"><busconfig><listen>unix:tmpdir=/tmp</listen><auth>EXTERNAL</auth><policy context="default"><allow send_destination="*"/><allow own="*"/></policy></busconfig>\n',
    },
    script: `export DBUS_SESSION_BUS_ADDRESS=unix:path=$PWD/bus; dbus-daemon --config-file=conf --nofork --address=$DBUS_SESSION_BUS_ADDRESS & p=$!; i=0; until [ -S bus ] || [ $i = 60 ]; do i=$((i + 1)); sleep 0.2; done; dbus-send --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.ListNames | grep -c org.freedesktop.DBus; kill $p; wait $p; echo $?`,
    expected: /^1\n(0|Terminated\n143)\n$/,
  },
  {
    name: 'caddy',
    packages: ['caddy', 'curl', ...network],
    files: site,
    script: `${up}export HOME=$PWD XDG_DATA_HOME=$PWD; caddy file-server --listen 127.0.0.1:17123 --root www > log 2>&1 & p=$!; up 17123; for i in 1 2 3 4; do curl -s http://127.0.0.1:17123/a.txt | wc -l & done; wait %2 %3 %4 %5; kill $p; wait $p; echo $?`,
    expected: '2000\n2000\n2000\n2000\n0\n',
    timeout: 180,
  },
];
