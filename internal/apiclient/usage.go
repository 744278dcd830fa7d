package apiclient

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is the CPU time and memory that a process has used so far, from Linux's /proc.
type Usage struct {
	CPU     time.Duration // user and system, all threads
	Wall    time.Time     // when it was read
	RSS     int64         // bytes resident now
	PeakRSS int64         // the most that was ever resident
}

// clockTicks is the unit of /proc/PID/stat: USER_HZ, 100 on every Linux that Go runs on.
const clockTicks = 100

// Usage reads the resources that the process has used.
func (p *Process) Usage() (Usage, error) {
	u := Usage{Wall: time.Now()}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return u, fmt.Errorf("reading what the server uses: %w", err)
	}
	// The second field is the name in parentheses, which may hold blanks.
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return u, fmt.Errorf("reading what the server uses: %d fields in stat", len(fields))
	}
	for _, f := range fields[11:13] { // utime, stime
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return u, fmt.Errorf("reading what the server uses: %w", err)
		}
		u.CPU += time.Duration(ticks) * time.Second / clockTicks
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return u, fmt.Errorf("reading what the server uses: %w", err)
	}
	for _, line := range strings.Split(string(status), "\n") {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		kib, _ := strconv.ParseInt(f[1], 10, 64) // only the two lines below are numbers in kB
		switch f[0] {
		case "VmRSS:":
			u.RSS = kib << 10
		case "VmHWM:":
			u.PeakRSS = kib << 10
		}
	}
	return u, nil
}

// ResetPeak makes PeakRSS count from now on.
func (p *Process) ResetPeak() error {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.PID()), []byte("5"), 0o600); err != nil {
		return fmt.Errorf("resetting the peak memory: %w", err)
	}
	return nil
}
