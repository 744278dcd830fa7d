package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"comfygo/cli"
)

// endpoint is one open socket.
type endpoint struct {
	net.Listener
	url string // what a browser opens; empty for the further addresses of a name
}

// listen opens one socket for each address of --listen. With port 0 the system chooses for the
// first, and the others use the same number. On error nothing stays open.
// A certificate makes them speak TLS.
func listen(ctx context.Context, cfg cli.Config, cert *certificate) ([]endpoint, error) {
	scheme, secure := "http", cert.config()
	if secure != nil {
		scheme = "https"
	}
	var open []endpoint
	fail := func(err error) ([]endpoint, error) {
		for _, e := range open {
			err = errors.Join(err, e.Close())
		}
		return nil, err
	}
	port := cfg.Port
	for _, host := range addresses(cfg.Listen) {
		for i, ip := range lookUp(ctx, host) {
			l, err := bind(ctx, ip, port)
			if i > 0 && (errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)) {
				continue // a name may have an address of a family that this machine has not
			}
			if err != nil {
				return fail(listenError(err, host, port))
			}
			if tcp, ok := l.Addr().(*net.TCPAddr); ok {
				port = tcp.Port
			}
			e := endpoint{Listener: l}
			if i == 0 {
				e.url = scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port))
			}
			if secure != nil {
				e.Listener = tls.NewListener(l, secure)
			}
			open = append(open, e)
		}
	}
	return open, nil
}

// lookUp returns every address of a name, IPv4 first, as localhost has one of each family. An address or an unknown name is returned unchanged.
func lookUp(ctx context.Context, host string) []string {
	if net.ParseIP(host) != nil {
		return []string{host}
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(found) == 0 {
		return []string{host}
	}
	out := make([]string, 0, len(found))
	for _, ip := range found {
		out = append(out, ip.Unmap().String())
	}
	slices.SortStableFunc(out, func(a, b string) int { return strings.Count(a, ":") - strings.Count(b, ":") })
	return slices.Compact(out)
}

// portPatience is the time for which a port in use is tried again: the program that is just being ended may still hold it.
const portPatience = 2 * time.Second

// bind opens one socket.
func bind(ctx context.Context, host string, port int) (net.Listener, error) {
	deadline := time.Now().Add(portPatience)
	for {
		l, err := (&net.ListenConfig{}).Listen(ctx, network(host), net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// addresses splits --listen; an empty one means every IPv4 address, as for a server bound to "".
func addresses(list string) []string {
	var hosts []string
	for _, h := range strings.Split(list, ",") {
		h = strings.TrimSpace(h)
		if h == "" {
			h = "0.0.0.0"
		}
		hosts = append(hosts, h)
	}
	return hosts
}

// network keeps IPv6 sockets from taking the IPv4 port as well, so that 0.0.0.0,:: can be bound.
func network(host string) string {
	switch ip := net.ParseIP(host); {
	case ip == nil:
		return "tcp"
	case ip.To4() != nil:
		return "tcp4"
	default:
		return "tcp6"
	}
}

func listenError(err error, host string, port int) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d is already in use on address %s; close the other program or choose another port with --port: %w", port, host, err)
	}
	return fmt.Errorf("listening on %s port %d: %w", host, port, err)
}

// onlyLoopback reports whether the addresses are reachable from this machine only.
func onlyLoopback(list string) bool {
	for _, h := range addresses(list) {
		if ip := net.ParseIP(h); h != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}
