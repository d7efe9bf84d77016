/**
 * The image of a pod's first container, which holds its namespaces: one static executable of our own that waits, reaps the children of a shared
 * process namespace, and ends on SIGTERM or SIGINT. It takes its signals with rt_sigtimedwait while they are blocked: blocked signals reach even
 * process 1, for which the kernel drops unhandled ones, and no signal handler is needed.
 *
 *     block {INT, TERM, CHLD}
 *     wait:  signal = rt_sigtimedwait({INT, TERM, CHLD})
 *            if signal < 0: goto wait
 *            if signal != CHLD: exit(0)
 *     reap:  if wait4(-1, WNOHANG) > 0: goto reap
 *            goto wait
 */
import { createHash } from 'node:crypto';
import { type Architecture, staticExecutable } from './elf.ts';
import { type ImageRecipe, layerOf } from './oci.ts';

export const pauseImageName = 'k8ts.local/pause:1';

export function pauseImage(architecture: Architecture): ImageRecipe {
  const content = pauseExecutable(architecture);
  return {
    names: [pauseImageName],
    source: createHash('sha256').update(content).digest('hex').slice(0, 16),
    async build() {
      const layer = await layerOf(() => [{ path: 'pause', type: 'file', mode: 0o755, content }]);
      return { names: [pauseImageName], architecture, config: { Entrypoint: ['/pause'], User: '65535:65535' }, layers: [layer] };
    },
  };
}

export function pauseExecutable(architecture: Architecture): Buffer {
  return staticExecutable(architecture, architecture === 'amd64' ? amd64Code() : arm64Code());
}

const [SIGINT, SIGTERM, SIGCHLD] = [2, 15, 17];
const signalSet = (1 << (SIGINT - 1)) | (1 << (SIGTERM - 1)) | (1 << (SIGCHLD - 1));

/** The 64-bit set of signals, as the kernel reads it. */
function signalSetBytes(): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(signalSet);
  return bytes;
}

function amd64Code(): Buffer {
  // oxfmt-ignore
  const code = Buffer.from([
    /* 00        */ 0xb8, 14, 0, 0, 0,                // mov eax, 14 (rt_sigprocmask)
    /* 05        */ 0x31, 0xff,                       // xor edi, edi (SIG_BLOCK)
    /* 07        */ 0x48, 0x8d, 0x35, 0x4e, 0, 0, 0,  // lea rsi, [set]
    /* 0e        */ 0x31, 0xd2,                       // xor edx, edx (the old set does not matter)
    /* 10        */ 0x41, 0xba, 8, 0, 0, 0,           // mov r10d, 8 (bytes of a set)
    /* 16        */ 0x0f, 0x05,                       // syscall
    /* 18  wait: */ 0xb8, 128, 0, 0, 0,               // mov eax, 128 (rt_sigtimedwait)
    /* 1d        */ 0x48, 0x8d, 0x3d, 0x38, 0, 0, 0,  // lea rdi, [set]
    /* 24        */ 0x31, 0xf6,                       // xor esi, esi (no details)
    /* 26        */ 0x31, 0xd2,                       // xor edx, edx (no timeout)
    /* 28        */ 0x41, 0xba, 8, 0, 0, 0,           // mov r10d, 8
    /* 2e        */ 0x0f, 0x05,                       // syscall
    /* 30        */ 0x85, 0xc0,                       // test eax, eax
    /* 32        */ 0x78, 0xe4,                       // js wait (interrupted)
    /* 34        */ 0x83, 0xf8, SIGCHLD,              // cmp eax, SIGCHLD
    /* 37        */ 0x75, 0x1a,                       // jne end
    /* 39  reap: */ 0xb8, 61, 0, 0, 0,                // mov eax, 61 (wait4)
    /* 3e        */ 0x83, 0xcf, 0xff,                 // or edi, -1 (any child)
    /* 41        */ 0x31, 0xf6,                       // xor esi, esi (its status does not matter)
    /* 43        */ 0xba, 1, 0, 0, 0,                 // mov edx, 1 (WNOHANG)
    /* 48        */ 0x45, 0x31, 0xd2,                 // xor r10d, r10d
    /* 4b        */ 0x0f, 0x05,                       // syscall
    /* 4d        */ 0x85, 0xc0,                       // test eax, eax
    /* 4f        */ 0x7f, 0xe8,                       // jg reap
    /* 51        */ 0xeb, 0xc5,                       // jmp wait
    /* 53   end: */ 0xb8, 60, 0, 0, 0,                // mov eax, 60 (exit)
    /* 58        */ 0x31, 0xff,                       // xor edi, edi
    /* 5a        */ 0x0f, 0x05,                       // syscall
    /* 5c   set: */
  ]);
  return Buffer.concat([code, signalSetBytes()]);
}

/** Every instruction is one word; branches and addresses count words from the instruction itself. */
function arm64Code(): Buffer {
  const [wait, reap, end, set] = [6, 16, 25, 28] as const;
  const words = [
    /*  0       */ move(8, 135), // rt_sigprocmask
    /*  1       */ move(0, 0), // SIG_BLOCK
    /*  2       */ address(1, set - 2),
    /*  3       */ move(2, 0),
    /*  4       */ move(3, 8), // bytes of a set
    /*  5       */ systemCall,
    /*  6 wait: */ move(8, 137), // rt_sigtimedwait
    /*  7       */ address(0, set - 7),
    /*  8       */ move(1, 0), // no details
    /*  9       */ move(2, 0), // no timeout
    /* 10       */ move(3, 8),
    /* 11       */ systemCall,
    /* 12       */ compare(0, 0),
    /* 13       */ branchIf('lt', wait - 13), // interrupted
    /* 14       */ compare(0, SIGCHLD),
    /* 15       */ branchIf('ne', end - 15),
    /* 16 reap: */ move(8, 260), // wait4
    /* 17       */ moveMinusOne(0), // any child
    /* 18       */ move(1, 0),
    /* 19       */ move(2, 1), // WNOHANG
    /* 20       */ move(3, 0),
    /* 21       */ systemCall,
    /* 22       */ compare(0, 0),
    /* 23       */ branchIf('gt', reap - 23),
    /* 24       */ branchIf('al', wait - 24),
    /* 25  end: */ move(8, 93), // exit
    /* 26       */ move(0, 0),
    /* 27       */ systemCall,
    /* 28  set: */
  ];
  const code = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) code.writeUInt32LE(word >>> 0, index * 4);
  return Buffer.concat([code, signalSetBytes()]);
}

/** `svc #0` */
const systemCall = 0xd4000001;

/** `movz x<register>, #value` */
function move(register: number, value: number): number {
  return 0xd2800000 | (value << 5) | register;
}

/** `movn x<register>, #0` */
function moveMinusOne(register: number): number {
  return 0x92800000 | register;
}

/** `adr x<register>, <words from here>` */
function address(register: number, words: number): number {
  return 0x10000000 | (words << 5) | register;
}

/** `cmp w<register>, #value` */
function compare(register: number, value: number): number {
  return 0x7100001f | (value << 10) | (register << 5);
}

/** `b.<condition> <words from here>` */
function branchIf(condition: 'ne' | 'lt' | 'gt' | 'al', words: number): number {
  const code = { ne: 1, lt: 11, gt: 12, al: 14 }[condition];
  return 0x54000000 | ((words & 0x7ffff) << 5) | code;
}
