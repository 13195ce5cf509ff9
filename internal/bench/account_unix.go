//go:build unix

package main

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account is whom a database server runs as: us, or somebody else if we are root, as whom it refuses to.
type account struct {
	uid, gid int // -1 for us
}

func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{-1, -1}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return account{}, &missingError{"it refuses to run as root, and there is no other account: " + err.Error()}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return account{}, err
	}
	gid, err := strconv.Atoi(u.Gid)
	return account{uid, gid}, err
}

// own gives the account a folder.
func (a account) own(folder string) error { return os.Chown(folder, a.uid, a.gid) }

// attributes has a command run as the account.
func (a account) attributes() *syscall.SysProcAttr {
	if a.uid < 0 {
		return nil
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}}
}
