package disk

import (
	"testing"
)

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-", "bytes=-5", "bytes=3-1", "bytes=0-0", "bytes=99999999999999999999-", "bytes=-0", "lines=1-2", "bytes=1-2,3-4"} {
		f.Add(s, int64(11))
	}
	f.Fuzz(func(t *testing.T, text string, size int64) {
		if size < 0 {
			return
		}
		start, count, ok := parseRange(text, size)
		if ok && (start < 0 || count < 1 || start+count > size) {
			t.Errorf("%q of %d bytes: %d+%d", text, size, start, count)
		}
	})
}
