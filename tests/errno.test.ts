import { expect, test } from 'vitest';
import { hostAnswer } from '#linux-user/vfs/host-answer.ts';
import { Errno, errnoNumbers, errnoOf } from '#util/errno.ts';

test('an Errno without details is one object of its name', () => {
  const error = new Errno('EAGAIN');
  expect(error).toBeInstanceOf(Error);
  expect(error.code).toBe('EAGAIN');
  expect(new Errno('EAGAIN')).toBe(error);
  expect(new Errno('EBADF')).not.toBe(error);
  expect(Object.isFrozen(error)).toBe(true);
});

test('details make an Errno of its own', () => {
  const error = new Errno('ENOENT', 'why');
  expect([error.message, error.code]).toEqual(['ENOENT: why', 'ENOENT']);
  expect(new Errno('ENOENT').message).toBe('ENOENT');
  expect(errnoOf(error)).toBe(errnoNumbers.ENOENT);
});

test('neither takes a stack trace, and other errors still do', () => {
  const fail = (): never => {
    throw new Error('of the host');
  };
  for (const make of [() => new Errno('EPERM'), () => new Errno('EPERM', 'why')])
    expect(make().stack).not.toMatch(/ at /);
  let failure: unknown;
  try {
    hostAnswer(fail);
  } catch (error) {
    failure = error;
  }
  expect((failure as Error).stack).not.toMatch(/ at /);
  expect(new Error('ours').stack).toMatch(/ at /);
});
