"""What is outside: the Bot API, mail servers, storages, acquirers. One file each."""
