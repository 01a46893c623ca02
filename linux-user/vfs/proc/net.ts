import { hostInterfaces } from '../../net/interfaces.ts';
import { type Inode, TreeDirectory } from '../inode.ts';
import { TextInode } from './text-inode.ts';

/* /proc/net (proc_pid_net(5)). The sockets of guests are not listed. */

const zeros = '       0       0    0    0    0     0          0         0';

function deviceText(): string {
  const head =
    'Inter-|   Receive                                                |  Transmit\n' +
    ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n';
  return (
    head +
    hostInterfaces()
      .map(({ name }) => `${name.padStart(6)}:${zeros}${zeros}\n`)
      .join('')
  );
}

/** Address, index, prefix length, scope, flags, name. */
function inet6Text(): string {
  return hostInterfaces()
    .flatMap(({ name, index, addresses }) =>
      addresses
        .filter(({ address }) => address.length === 16)
        .map(({ address, prefix, scope }) => {
          const kernelScope = scope === 254 ? 0x10 : scope === 253 ? 0x20 : 0;
          const numbers = [index, prefix, kernelScope, 0x80].map((number) => number.toString(16).padStart(2, '0'));
          return `${Buffer.from(address).toString('hex')} ${numbers.join(' ')} ${name.padStart(8)}\n`;
        }),
    )
    .join('');
}

const inetHead = (more: string): string =>
  `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode${more}`;
const inet6Head =
  '  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';

const headers: Readonly<Record<string, string>> = {
  arp: 'IP address       HW type     Flags       HW address            Mask     Device\n',
  igmp: 'Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n',
  netlink: 'sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n',
  packet: 'sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n',
  raw: `${inetHead(' ref pointer drops')}\n`,
  route:
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       \n',
  tcp: `${inetHead('').padEnd(149)}\n`,
  tcp6: `${inet6Head}\n`,
  udp: `${inetHead(' ref pointer drops')}\n`,
  udp6: `${inet6Head} ref pointer drops\n`,
  unix: 'Num       RefCount Protocol Flags    Type St Inode Path\n',
};

export function netDirectory(): Inode {
  const files = Object.entries(headers).map(([name, text]) => [name, new TextInode(() => text)] as const);
  return new TreeDirectory({
    ...Object.fromEntries(files),
    dev: new TextInode(deviceText),
    if_inet6: new TextInode(inet6Text),
  });
}
