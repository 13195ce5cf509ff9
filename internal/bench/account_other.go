//go:build !unix

package main

import "syscall"

// account is whom a database server runs as. There is none here, where it would have no socket to listen on.
type account struct{}

func serverAccount() (account, error) {
	return account{}, &missingError{"it is run on a Unix socket only"}
}

func (account) own(string) error { return nil }

func (account) attributes() *syscall.SysProcAttr { return nil }
