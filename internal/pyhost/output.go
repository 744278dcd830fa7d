package pyhost

import (
	"bufio"
	"io"
	"strings"
	"time"
)

// Limits of the log of the process's output: lines are cut, and lines or bytes beyond a rate per second are only counted.
const (
	longestLine    = 4 << 10
	linesPerSecond = 200
	bytesPerSecond = 64 << 10
)

// copyLog puts the process's output into the log, with the pack that runs. It reads to the end whatever comes, so that the process
// never waits for it.
func (s *Session) copyLog(r io.Reader) {
	log := s.host.cfg.Log
	in := bufio.NewReaderSize(r, longestLine)
	second, lines, bytes, left := time.Now(), 0, 0, 0
	told := func() {
		if left > 0 {
			log.Warn("lines of the Python process were left out", "lines", left, "pack", s.Doing())
		}
		lines, bytes, left = 0, 0, 0
	}
	defer func() { told() }()
	for {
		line, isPrefix, err := in.ReadLine()
		if err != nil {
			return
		}
		if now := time.Now(); now.Sub(second) >= time.Second {
			told()
			second = now
		}
		lines++
		bytes += len(line)
		if lines > linesPerSecond || bytes > bytesPerSecond {
			left++
		} else if text := strings.TrimSpace(plain(string(line))); text != "" {
			log.Info(text, "from", "python", "pack", s.Doing())
		}
		for isPrefix && err == nil { // the rest of a line that is too long
			_, isPrefix, err = in.ReadLine()
		}
	}
}

// plain removes control characters, and the sequences that set colours.
func plain(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == 0x1b && i+1 < len(s) && s[i+1] == '[' {
			for i += 2; i < len(s) && (s[i] < '@' || s[i] > '~'); i++ {
			}
			continue
		}
		if s[i] >= ' ' || s[i] == '\t' {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
