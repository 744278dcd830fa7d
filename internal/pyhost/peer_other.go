//go:build !linux

package pyhost

import (
	"errors"
	"net"
)

func (u *User) from(conn net.Conn) error {
	if _, ok := conn.(*net.UnixConn); u != nil && ok {
		return errors.New("this system does not tell who answers at a socket")
	}
	return nil
}
