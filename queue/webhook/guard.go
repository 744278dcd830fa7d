package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
)

// ErrForbidden means that a message would have gone to an address that clients must not make the server talk to.
var ErrForbidden = errors.New("the address is not a public one")

// closed are the networks beyond those that netip knows to be special: shared, documentation, benchmark and reserved
// addresses, and the prefixes that embed IPv4 addresses (RFC 6890 and its successors).
var closed = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	"5f00::/16", "fec0::/10", "::/96")

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, p := range list {
		out[i] = netip.MustParsePrefix(p)
	}
	return out
}

// Guard says where messages may go: to every public address, and to what was allowed by name.
type Guard struct {
	hosts map[string]bool
	nets  []netip.Prefix
}

// NewGuard makes a guard that also allows the given host names, addresses and networks (10.0.0.0/8).
func NewGuard(allow []string) (*Guard, error) {
	g := &Guard{hosts: map[string]bool{}}
	for _, a := range allow {
		switch {
		case strings.Contains(a, "/"):
			p, err := netip.ParsePrefix(a)
			if err != nil {
				return nil, fmt.Errorf("reading the allowed network %q: %w", a, err)
			}
			g.nets = append(g.nets, p.Masked())
		case a == "":
			return nil, fmt.Errorf("reading the allowed hosts: one is empty")
		default:
			if ip, err := netip.ParseAddr(a); err == nil {
				g.nets = append(g.nets, netip.PrefixFrom(ip, ip.BitLen()))
				continue
			}
			g.hosts[strings.ToLower(a)] = true
		}
	}
	return g, nil
}

// CheckURL refuses a URL that can never be sent to. Names are looked up only when something is sent.
func (g *Guard) CheckURL(text string) error {
	const longest = 2048
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > longest:
		return fmt.Errorf("reading the address %q: it is no URL", text[:min(len(text), longest)])
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("reading the address: its scheme is %q, not http or https", u.Scheme)
	case u.Hostname() == "":
		return errors.New("reading the address: it has no host")
	case u.User != nil:
		return errors.New("reading the address: it holds a password")
	}
	host := strings.ToLower(u.Hostname())
	if ip, err := netip.ParseAddr(host); err == nil {
		return g.checkIP(ip)
	}
	if !g.hosts[host] && (host == "localhost" || strings.HasSuffix(host, ".localhost")) {
		return ErrForbidden
	}
	return nil
}

func (g *Guard) checkIP(ip netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	for _, p := range g.nets {
		if p.Contains(ip) {
			return nil
		}
	}
	special := !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast()
	for _, p := range closed {
		special = special || p.Contains(ip)
	}
	if special {
		return fmt.Errorf("%w: %s", ErrForbidden, ip)
	}
	return nil
}

// control checks the address that a name has resolved to, after the look-up and before the connection: changing the
// name in between has no effect.
func (g *Guard) control(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("reading the address %s: %w", address, err)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("reading the address %s: %w", address, err)
	}
	return g.checkIP(ip)
}
