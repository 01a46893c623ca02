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
];
