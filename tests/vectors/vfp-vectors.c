/*
 * Makes tests/vectors/vfp.txt: scalar floating-point instructions on random and special operands under every rounding
 * mode, flush-to-zero, default NaN and alternative half precision. One line each: operation, format bits, FPSCR before,
 * operands a b c, result, FPSCR after (hexadecimal).
 *
 *     arm-linux-gnueabihf-gcc -O1 -marm -static -march=armv8-a -mfpu=neon-fp-armv8 vfp-vectors.c -o vfp-vectors
 *     qemu-arm ./vfp-vectors 5 > vfp.txt
 */
#include <stdlib.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>
typedef uint64_t u64; typedef uint32_t u32;
static u64 s=88172645463325252ull; static u64 rnd(){s^=s<<13;s^=s>>7;s^=s<<17;return s;}
static u64 spec64[]={0,0x8000000000000000,0x3ff0000000000000,0xbff0000000000000,0x7ff0000000000000,0xfff0000000000000,0x7ff8000000000001,0xfff8000000001234,0x7ff0000000000001,0xfff4000000000002,1,0x8000000000000001,0x000fffffffffffff,0x0010000000000000,0x8010000000000000,0x7fefffffffffffff,0xffefffffffffffff,0x3fe0000000000000,0x4340000000000000,0x3ff8000000000000,0x4004000000000000,0x41dfffffffc00000,0x41e0000000000000,0xc1e0000000000000,0xc1e0000000200000,0x41efffffffe00000,0x36a0000000000000,0x3810000000000000,0x380fffffffffffff,0x47efffffe0000000,0x47effffff0000000,0x0018000000000000,0x1ff0000000000000,0x2000000000000001};
static u64 r64(){ u64 k=rnd(); switch(k%8){case 0:case 1:return spec64[(k>>8)%(sizeof spec64/8)]; case 2: return rnd(); case 3:{u64 e=1023-40+(k>>8)%80; return (rnd()&0x800fffffffffffffull)|e<<52;} case 4:{u64 e=1023-2+(k>>8)%4; return (rnd()&0x800fff8000000000ull)|e<<52;} case 5:{u64 e=(k>>8)%60; return (rnd()&0x800fffffffffffffull)|e<<52;} case 6:{u64 e=1023-160+(k>>8)%300; return (rnd()&0x800ffffff0000000ull)|e<<52;} default:{u64 e=1023+(k>>8)%40; return (rnd()&0x800fffffffffffffull)|e<<52;}}}
static u32 spec32[]={0,0x80000000,0x3f800000,0xbf800000,0x7f800000,0xff800000,0x7fc00001,0xffc12345,0x7f800001,0xffa00002,1,0x80000001,0x007fffff,0x00800000,0x80800000,0x7f7fffff,0xff7fffff,0x3f000000,0x4f000000,0xcf000000,0x4f7fffff,0x33800000,0x477fe000,0x477ff000,0x38800000,0x387fc000,0x33000000,0x33000001,0x00c00000,0x20000000,0x1f800001};
static u32 r32(){ u64 k=rnd(); switch(k%6){case 0:case 1:return spec32[(k>>8)%(sizeof spec32/4)]; case 2: return rnd(); case 3:{u32 e=127-20+(k>>8)%40; return (rnd()&0x807fffff)|e<<23;} case 4:{u32 e=(k>>8)%40; return (rnd()&0x807fffff)|e<<23;} default:{u32 e=125+(k>>8)%5; return (rnd()&0x807ff000)|e<<23;}}}
#define SETF(f) asm volatile("vmsr fpscr,%0"::"r"(f))
#define GETF ({u32 f_;asm volatile("vmrs %0,fpscr":"=r"(f_)::"memory");f_;})
#define D3(n,i) {u64 a=r64(),b=r64(),c=r64(),r=c;u32 f;asm volatile("vmsr fpscr,%5\n vmov d0,%Q2,%R2\n vmov d1,%Q3,%R3\n vmov d2,%Q4,%R4\n" i " d2,d0,d1\n vmov %Q0,%R0,d2\n vmrs %1,fpscr":"=&r"(r),"=&r"(f):"r"(a),"r"(b),"r"(c),"r"(m):"d0","d1","d2"); printf(n " 64 %x %llx %llx %llx %llx %x\n",m,a,b,c,r,f);}
#define S3(n,i) {u32 a=r32(),b=r32(),c=r32(),r;u32 f;asm volatile("vmsr fpscr,%5\n vmov s0,%2\n vmov s1,%3\n vmov s2,%4\n" i " s2,s0,s1\n vmov %0,s2\n vmrs %1,fpscr":"=&r"(r),"=&r"(f):"r"(a),"r"(b),"r"(c),"r"(m):"s0","s1","s2"); printf(n " 32 %x %x %x %x %x %x\n",m,a,b,c,r,f);}
#define DD(n,i) {u64 a=r64(),r;u32 f;asm volatile("vmsr fpscr,%3\n vmov d0,%Q2,%R2\n" i " d2,d0\n vmov %Q0,%R0,d2\n vmrs %1,fpscr":"=&r"(r),"=&r"(f):"r"(a),"r"(m):"d0","d2"); printf(n " 64 %x %llx 0 0 %llx %x\n",m,a,r,f);}
#define SS(n,i) {u32 a=r32(),r;u32 f;asm volatile("vmsr fpscr,%3\n vmov s0,%2\n" i " s2,s0\n vmov %0,s2\n vmrs %1,fpscr":"=&r"(r),"=&r"(f):"r"(a),"r"(m):"s0","s2"); printf(n " 32 %x %x 0 0 %x %x\n",m,a,r,f);}
#define SD(n,i) {u64 a=r64();u32 r;u32 f;asm volatile("vmsr fpscr,%3\n vmov d0,%Q2,%R2\n vmov s4,%4\n" i " s4,d0\n vmov %0,s4\n vmrs %1,fpscr":"=&r"(r),"=&r"(f):"r"(a),"r"(m),"r"(0):"d0","d2"); printf(n " 64 %x %llx 0 0 %x %x\n",m,a,r,f);}
#define DS(n,i,G) {u32 a=G;u64 r;u32 f;asm volatile("vmsr fpscr,%3\n vmov s0,%2\n" i " d2,s0\n vmov %Q0,%R0,d2\n vmrs %1,fpscr":"=&r"(r),"=&r"(f):"r"(a),"r"(m):"d0","d2"); printf(n " 32 %x %x 0 0 %llx %x\n",m,a,r,f);}
#define SSG(n,i,G) {u32 a=G,r;u32 f;asm volatile("vmsr fpscr,%3\n vmov s0,%2\n vmov s2,%4\n" i " s2,s0\n vmov %0,s2\n vmrs %1,fpscr":"=&r"(r),"=&r"(f):"r"(a),"r"(m),"r"(0):"s0","s2"); printf(n " 32 %x %x 0 0 %x %x\n",m,a,r,f);}
#define CD(n,i) {u64 a=r64(),b=(rnd()&3)?r64():a;u32 f;asm volatile("vmsr fpscr,%3\n vmov d0,%Q1,%R1\n vmov d1,%Q2,%R2\n" i " d0,d1\n vmrs %0,fpscr":"=&r"(f):"r"(a),"r"(b),"r"(m):"d0","d1"); printf(n " 64 %x %llx %llx 0 0 %x\n",m,a,b,f);}
#define CS(n,i) {u32 a=r32(),b=(rnd()&3)?r32():a;u32 f;asm volatile("vmsr fpscr,%3\n vmov s0,%1\n vmov s1,%2\n" i " s0,s1\n vmrs %0,fpscr":"=&r"(f):"r"(a),"r"(b),"r"(m):"d0","d1"); printf(n " 32 %x %x %x 0 0 %x\n",m,a,b,f);}
#define FXD(n,i) {u64 a=rnd()&1?r64():rnd(),r;u32 f;asm volatile("vmsr fpscr,%3\n vmov d0,%Q2,%R2\n" i "\n vmov %Q0,%R0,d0\n vmrs %1,fpscr":"=&r"(r),"=&r"(f):"r"(a),"r"(m):"d0"); printf(n " 64 %x %llx 0 0 %llx %x\n",m,a,r,f);}
#define FXS(n,i) {u32 a=rnd()&1?r32():rnd(),r;u32 f;asm volatile("vmsr fpscr,%3\n vmov s0,%2\n" i "\n vmov %0,s0\n vmrs %1,fpscr":"=&r"(r),"=&r"(f):"r"(a),"r"(m):"d0"); printf(n " 32 %x %x 0 0 %x %x\n",m,a,r,f);}
int main(int c,char**v){ int N=atoi(v[1]); 
 for(int k=0;k<N;k++) for(u32 mm=0;mm<5;mm++){ u32 m= mm==4?0:mm<<22; u64 q=rnd(); if(q&1) m|=(q>>1&3)<<24; 
 D3("add","vadd.f64")D3("sub","vsub.f64")D3("mul","vmul.f64")D3("nmul","vnmul.f64")D3("div","vdiv.f64")D3("mla","vmla.f64")D3("mls","vmls.f64")D3("nmla","vnmla.f64")D3("nmls","vnmls.f64")D3("fma","vfma.f64")D3("fms","vfms.f64")D3("fnma","vfnma.f64")D3("fnms","vfnms.f64")
 D3("maxnm","vmaxnm.f64")D3("minnm","vminnm.f64")S3("maxnm","vmaxnm.f32")S3("minnm","vminnm.f32")
 S3("add","vadd.f32")S3("sub","vsub.f32")S3("mul","vmul.f32")S3("nmul","vnmul.f32")S3("div","vdiv.f32")S3("mla","vmla.f32")S3("mls","vmls.f32")S3("nmla","vnmla.f32")S3("nmls","vnmls.f32")S3("fma","vfma.f32")S3("fms","vfms.f32")S3("fnma","vfnma.f32")S3("fnms","vfnms.f32")
 DD("sqrt","vsqrt.f64")SS("sqrt","vsqrt.f32")
 SD("cvt","vcvt.f32.f64")DS("cvt","vcvt.f64.f32",r32())
 SD("tos","vcvt.s32.f64")SD("tou","vcvt.u32.f64")SD("tors","vcvtr.s32.f64")SD("toru","vcvtr.u32.f64")
 SSG("tos","vcvt.s32.f32",r32())SSG("tou","vcvt.u32.f32",r32())SSG("tors","vcvtr.s32.f32",r32())SSG("toru","vcvtr.u32.f32",r32())
 SD("tas","vcvta.s32.f64")SD("tau","vcvta.u32.f64")SD("tps","vcvtp.s32.f64")SD("tms","vcvtm.s32.f64")SD("tns","vcvtn.s32.f64")
 SSG("froms","vcvt.f32.s32",rnd())SSG("fromu","vcvt.f32.u32",rnd())DS("fromsd","vcvt.f64.s32",rnd())DS("fromud","vcvt.f64.u32",rnd())
 DD("rintr","vrintr.f64")DD("rintx","vrintx.f64")DD("rintz","vrintz.f64")DD("rinta","vrinta.f64")DD("rintm","vrintm.f64") SS("rintr","vrintr.f32")SS("rintx","vrintx.f32")SS("rinta","vrinta.f32")SS("rintp","vrintp.f32")
 CD("cmp","vcmp.f64")CD("cmpe","vcmpe.f64")CS("cmp","vcmp.f32")CS("cmpe","vcmpe.f32")
 FXD("fx_s16_5","vcvt.s16.f64 d0,d0,#5")FXD("fx_u16_16","vcvt.u16.f64 d0,d0,#16")FXD("fx_s32_20","vcvt.s32.f64 d0,d0,#20")FXD("fx_u32_1","vcvt.u32.f64 d0,d0,#1")
 FXD("xf_s16_5","vcvt.f64.s16 d0,d0,#5")FXD("xf_u32_32","vcvt.f64.u32 d0,d0,#32")
 FXS("fx_s16_5","vcvt.s16.f32 s0,s0,#5")FXS("fx_u32_7","vcvt.u32.f32 s0,s0,#7")FXS("xf_s32_12","vcvt.f32.s32 s0,s0,#12")FXS("xf_u16_3","vcvt.f32.u16 s0,s0,#3")
 {u32 m0=m; m|= (q>>5&1)<<26; SSG("hb","vcvtb.f32.f16",rnd())SSG("ht","vcvtt.f32.f16",rnd())SSG("bh","vcvtb.f16.f32",r32())SSG("th","vcvtt.f16.f32",r32()) DS("hbd","vcvtb.f64.f16",rnd())SD("bhd","vcvtb.f16.f64") m=m0;}
 } SETF(0); }
