package ffmpeg

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"
)

// CountPackets counts the packets of a stream with a time in [from, to) seconds, without decoding them. A video packet is a frame.
func (t *Tool) CountPackets(ctx context.Context, path string, stream int, from, to float64) (int, error) {
	programs, err := t.find()
	if err != nil {
		return 0, err
	}
	args := append([]string{"-hide_banner", "-v", "error"}, Input(path)...)
	args = append(args, "-select_streams", fmt.Sprint(stream), "-show_entries", "packet=pts_time", "-of", "csv=p=0")
	p, err := start(ctx, programs.ffprobe, args, Command{File: path, Memory: probeMemory})
	if err != nil {
		return 0, err
	}
	count := 0
	lines := bufio.NewScanner(p.Stdout)
	for lines.Scan() {
		text := strings.TrimRight(lines.Text(), ",")
		if text == "" {
			continue
		}
		at, err := strconv.ParseFloat(text, 64)
		if err != nil || at >= from && at < to { // a packet without a time is counted
			count++
		}
	}
	if err := lines.Err(); err != nil {
		p.Stop()
		return 0, err
	}
	return count, p.Wait()
}
