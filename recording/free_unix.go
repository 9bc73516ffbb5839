//go:build unix && !(netbsd || openbsd || solaris || illumos || aix)

package recording

import "syscall"

// freeBytes returns how much more may be written to the disk of a directory.
func freeBytes(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	//nolint:unconvert // its type is another one on other systems
	return int64(st.Bavail) * int64(st.Bsize), nil
}
