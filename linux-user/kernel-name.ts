/** The kernel we say we are: a long-term release whose system calls the table has. */
export const ourRelease = '6.1.0';
export const ourVersion = '#1 SMP tsemu';
