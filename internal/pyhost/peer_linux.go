package pyhost

import (
	"fmt"
	"net"
	"syscall"
)

// from checks that a connection over a Unix socket leads to a process of the user: what lies in the user's folder may be a link to the
// socket of another program, which would take us for root.
func (u *User) from(conn net.Conn) error {
	c, ok := conn.(*net.UnixConn)
	if u == nil || !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("asking who answers: %w", err)
	}
	var peer *syscall.Ucred
	var asked error
	if err := raw.Control(func(fd uintptr) {
		peer, asked = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return fmt.Errorf("asking who answers: %w", err)
	}
	if asked != nil {
		return fmt.Errorf("asking who answers: %w", asked)
	}
	if peer.Uid != u.uid {
		return fmt.Errorf("the process at the other end is one of user %d, not of %s", peer.Uid, u.Name)
	}
	return nil
}
