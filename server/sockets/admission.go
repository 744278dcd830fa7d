package sockets

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/executor"
	"comfygo/middleware"
)

// Limits bound the open sockets, each of which holds three goroutines and a buffer. Zero values are the defaults.
type Limits struct {
	Total      int // of all; 10,000
	PerAddress int // of an address, or of a network of 64 bits in IPv6; 1000
	PerOwner   int // of a user, where requests say who makes them; 500
	Unknown    int // of an address without a credential, where there are credentials; 100
}

func (l Limits) filled() Limits {
	for at, usual := range map[*int]int{&l.Total: 10000, &l.PerAddress: 1000, &l.PerOwner: 500, &l.Unknown: 100} {
		if *at <= 0 {
			*at = usual
		}
	}
	return l
}

// closeBusy is the code (RFC 6455, IANA registry) with which a socket is closed to make room: the client may come again.
const closeBusy = 1013

// group is the key by which sockets are counted. The zero value means all sockets.
type group struct {
	from    netip.Prefix
	unknown bool // those of the address without a credential, where there are some
	owner   string
}

// seat is a socket's place among the open ones.
type seat struct {
	who     *Socket
	client  string
	from    netip.Prefix
	groups  []group
	since   time.Time
	leaving bool // told to go: it does not count any more
}

// admission is the list of sockets that are open or about to be.
type admission struct {
	mu    sync.Mutex
	seats map[*seat]struct{}
	count map[group]int
}

// admit reserves a seat for a socket before its handshake. If none is free, the oldest socket whose client waits for no job
// is closed: of the owner, of the address, or, if the server is full, of the address with the most sockets. leave must be
// called; it is nil if no connection can be closed.
func (s *Service) admit(c echo.Context, who *Socket, client string) (leave func()) {
	l := s.Limits.filled()
	in := &seat{who: who, client: client, from: network(c), since: time.Now()}
	in.groups = []group{{}, {from: in.from}}
	most := []int{l.Total, l.PerAddress}
	if s.Access.Guarded() && who.Anonymous() {
		in.groups, most = append(in.groups, group{from: in.from, unknown: true}), append(most, l.Unknown)
	}
	if who.ID != "" {
		in.groups, most = append(in.groups, group{owner: who.ID}), append(most, l.PerOwner)
	}
	busy := sync.OnceValue(s.busyClients)
	a := &s.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	for n := len(in.groups) - 1; n >= 0; n-- { // the server as a whole comes last: who leaves for another bound leaves for it, too
		g := in.groups[n]
		if a.count[g] < most[n] {
			continue
		}
		if g == (group{}) {
			g = a.crowded()
		}
		old := a.oldest(g, busy())
		if old == nil {
			return nil
		}
		old.leaving = true
		a.add(old, -1)
		go s.Hub.End(func(w any) bool { return w == any(old.who) }, closeBusy, "making room for a newer connection")
	}
	if a.seats == nil {
		a.seats, a.count = map[*seat]struct{}{}, map[group]int{}
	}
	a.seats[in] = struct{}{}
	a.add(in, 1)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.seats, in)
		if !in.leaving {
			a.add(in, -1)
		}
	}
}

// add counts a seat.
func (a *admission) add(o *seat, n int) {
	for _, g := range o.groups {
		if a.count[g] += n; a.count[g] == 0 {
			delete(a.count, g)
		}
	}
}

// oldest returns the seat of a group that has been taken the longest by a client that is not busy, or nil.
func (a *admission) oldest(g group, busy map[string]bool) (old *seat) {
	for o := range a.seats {
		if !o.leaving && !busy[o.client] && (old == nil || o.since.Before(old.since)) && slices.Contains(o.groups, g) {
			old = o
		}
	}
	return old
}

// crowded is the address with the most seats.
func (a *admission) crowded() (most group) {
	seats := 0
	for g, n := range a.count {
		if g == (group{from: g.from}) && g.from.IsValid() && n > seats {
			most, seats = g, n
		}
	}
	return most
}

// busyClients are the ids of clients with a job that runs or waits.
func (s *Service) busyClients() map[string]bool {
	busy := map[string]bool{}
	running, pending := s.Queue.Snapshot()
	for _, j := range append(running, pending...) {
		if client, ok := (executor.Job{ExtraData: j.Extra}).Client(); ok {
			busy[client] = true
		}
	}
	return busy
}

// network returns the network that an address counts as: the address itself, or its 64-bit network in IPv6, where one machine
// has that many addresses.
func network(c echo.Context) netip.Prefix {
	addr := middleware.Address(c)
	if !addr.IsValid() { // without authentication no address was determined
		if at, err := netip.ParseAddrPort(c.Request().RemoteAddr); err == nil {
			addr = at.Addr()
		}
	}
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // the zero one for what is not an address
	return p
}
