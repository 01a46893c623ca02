import { i386State } from '#target/i386/state.ts';
import { i386Target } from '#target/i386/target.ts';
import { Optimizer } from '#tcg/optimize.ts';
import { printBlock } from '#tcg/text.ts';
import { i386Block, i386Ir } from '#tests/support/i386-ir.ts';

const bl = i386Block([0x86, 0x6c, 0x24, 0x17], 1);
console.log(printBlock(bl, i386State));
new Optimizer(i386Target as any).run(bl, { exactState: true });
console.log(printBlock(bl, i386State));
