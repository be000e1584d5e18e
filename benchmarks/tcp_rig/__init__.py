"""One request and reply over one link, repeated on one connection: on ns-3's TCP and on the kernel's own."""
