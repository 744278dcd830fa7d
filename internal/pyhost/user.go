package pyhost

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strconv"
)

// User is another user of the system that the process runs as.
type User struct {
	Name, Home string
	uid, gid   uint32
	groups     []uint32
}

// FindUser looks up the user that the process is to run as. The error explains the conditions.
func FindUser(name string) (*User, error) {
	if runtime.GOOS == "windows" {
		return nil, errors.New("running Python as another user: Windows has no way for it; leave --host-user away")
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("running Python as user %s: there is no such user: %w", name, err)
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("running Python as user %s: only a server that runs as root can do that", name)
	}
	out := &User{Name: u.Username, Home: u.HomeDir}
	if out.uid, err = number(u.Uid); err != nil {
		return nil, fmt.Errorf("running Python as user %s: %w", name, err)
	}
	if out.gid, err = number(u.Gid); err != nil {
		return nil, fmt.Errorf("running Python as user %s: %w", name, err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("running Python as user %s: reading the groups: %w", name, err)
	}
	for _, id := range ids {
		n, err := number(id)
		if err != nil {
			return nil, fmt.Errorf("running Python as user %s: %w", name, err)
		}
		out.groups = append(out.groups, n)
	}
	return out, nil
}

func number(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no number of a user or group: %w", text, err)
	}
	return uint32(n), nil
}

// own makes the user the owner of a file or folder; without a user it stays the server's.
func (u *User) own(path string) error {
	if u == nil {
		return nil
	}
	if err := os.Lchown(path, int(u.uid), int(u.gid)); err != nil {
		return fmt.Errorf("giving %s to user %s: %w", path, u.Name, err)
	}
	return nil
}
