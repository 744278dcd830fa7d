package auth

import (
	"net/netip"
	"sync"
	"time"
)

// LockOut configures the lock-out of addresses after failed log-ins. The zero value is the default.
type LockOut struct {
	Free     int           // failures without a consequence; 0 is 5
	Failures int           // the address is locked after this many failures; 0 means 12
	Delay    time.Duration // after the first failure that is not free, doubled by each further one; 0 is 1 s
	Longest  time.Duration // that a delay grows to; 0 is 1 min
	Locked   time.Duration // how long; 0 is 15 min. Failures are forgotten after the same time without one.
}

func (l LockOut) filled() LockOut {
	l.Free = or(l.Free, 5)
	l.Failures = or(l.Failures, 12)
	l.Delay = or(l.Delay, time.Second)
	l.Longest = or(l.Longest, time.Minute)
	l.Locked = or(l.Locked, 15*time.Minute)
	return l
}

// mostAddresses bounds the memory for addresses.
const mostAddresses = 65536

// lockouts count failures by address, or by network of 64 bits in IPv6, where one machine has that many addresses.
type lockouts struct {
	rule LockOut
	mu   sync.Mutex
	all  map[netip.Prefix]*failures
}

type failures struct {
	count       int
	last, until time.Time // until: requests are refused unchecked before it
}

func newLockouts(rule LockOut) *lockouts {
	return &lockouts{rule: rule, all: map[netip.Prefix]*failures{}}
}

// network returns the network that an address counts as; invalid addresses are all one.
func network(addr netip.Addr) netip.Prefix {
	if !addr.IsValid() {
		return netip.Prefix{}
	}
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil { // cannot be: the bits are those of the address
		return netip.Prefix{}
	}
	return p
}

// wait returns the time for which requests of the address are refused unchecked; 0 means not at all.
func (l *lockouts) wait(addr netip.Addr, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.all[network(addr)]
	f.settle(now)
	if f == nil || !now.Before(f.until) {
		return 0
	}
	return f.until.Sub(now)
}

// settle counts the times of failures from now on when the clock was set back behind the last one.
func (f *failures) settle(now time.Time) {
	if f != nil && now.Before(f.last) {
		f.until = f.until.Add(now.Sub(f.last))
		f.last = now
	}
}

// fail counts a failure. locked reports that this one has locked the address.
func (l *lockouts) fail(addr netip.Addr, now time.Time) (locked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := network(addr)
	f := l.all[at]
	f.settle(now)
	if f == nil || now.Sub(f.last) >= l.rule.Locked {
		if f == nil && len(l.all) >= mostAddresses {
			l.makeRoom(now)
		}
		f = &failures{}
		l.all[at] = f
	}
	f.count++
	f.last = now
	switch over := f.count - l.rule.Free; {
	case f.count >= l.rule.Failures:
		f.until, f.count = now.Add(l.rule.Locked), 0
		return true
	case over > 0:
		delay := l.rule.Delay
		for range over - 1 {
			delay = min(2*delay, l.rule.Longest)
		}
		f.until = now.Add(min(delay, l.rule.Longest))
	}
	return false
}

// makeRoom drops an address, preferably one that is not locked among a few.
func (l *lockouts) makeRoom(now time.Time) {
	looked := 0
	for at, f := range l.all {
		if looked++; !now.Before(f.until) || looked > 16 {
			delete(l.all, at)
			return
		}
	}
}

func (l *lockouts) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for at, f := range l.all {
		if now.Sub(f.last) >= l.rule.Locked && !now.Before(f.until) {
			delete(l.all, at)
		}
	}
}
