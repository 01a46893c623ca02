// contract draft; implementation follows
