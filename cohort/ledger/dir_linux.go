package ledger

import "syscall"

// networkFileSystem returns the name of the network file system that a folder lies on, or "" if it lies on none that is known. The
// numbers are those of statfs(2).
func networkFileSystem(path string) string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return ""
	}
	switch uint32(s.Type) {
	case 0x6969:
		return "NFS"
	case 0x517b, 0xfe534d42, 0xff534d42:
		return "SMB"
	case 0x5346414f, 0x6b414653:
		return "AFS"
	case 0x00c36400:
		return "Ceph"
	case 0x0bd00bd0:
		return "Lustre"
	case 0x01161970, 0x47504653:
		return "a cluster file system"
	default:
		return ""
	}
}
