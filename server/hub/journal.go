package hub

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"sync"
	"time"
)

const (
	// journalPause is the time for which events are gathered before they are written: the most that a killed process may lose.
	journalPause = 100 * time.Millisecond
	// journalSize bounds each of the two files, journalAge the age of the events that are read from them.
	journalSize = maxLoggedBytes / 2
	journalAge  = 24 * time.Hour
	// mostGathered is the maximum number of gathered bytes.
	mostGathered = 1 << 20
	// longestRecord bounds the lengths that are accepted in the file.
	longestRecord = 1 << 28
)

// Flags of a record.
const (
	recordBinary = 1 << iota
	recordEveryone
	recordEnd // the program has come to its end as it should: nothing is missing behind the record before
)

// journal keeps the log's events in a file, and those of before in a second one beside it. What was written when a process ended in
// whatever way is whole: a record that is cut off counts as the end.
type journal struct {
	path string
	tell func(error)

	mu      sync.Mutex
	buffer  []byte
	used    bool          // something was added
	dirty   chan struct{} // holds one token when there is something to write
	ended   chan struct{} // closed when write ends
	writing sync.WaitGroup
	once    sync.Once
}

func newJournal(path string, tell func(error)) *journal {
	j := &journal{path: path, tell: tell, dirty: make(chan struct{}, 1), ended: make(chan struct{})}
	j.writing.Go(j.write)
	return j
}

// add keeps an event.
func (j *journal) add(e logged, at time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.used = true
	if j.buffer = appendRecord(j.buffer, e, at, 0); len(j.buffer) > mostGathered {
		j.flushLocked()
		return
	}
	select {
	case j.dirty <- struct{}{}:
	default:
	}
}

// write writes the gathered events, until the journal ends.
func (j *journal) write() {
	for {
		select {
		case <-j.ended:
			return
		case <-j.dirty:
		}
		select {
		case <-j.ended:
			return
		case <-time.After(journalPause):
		}
		j.flush()
	}
}

// flush writes the gathered events to the file.
func (j *journal) flush() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.flushLocked()
}

func (j *journal) flushLocked() {
	if len(j.buffer) == 0 {
		return
	}
	err := j.put(j.buffer)
	if j.buffer = j.buffer[:0]; cap(j.buffer) > 2*mostGathered {
		j.buffer = nil
	}
	if err != nil {
		j.tell(fmt.Errorf("keeping events: %w", err))
	}
}

func (j *journal) put(data []byte) error {
	if info, err := os.Stat(j.path); err == nil && info.Size()+int64(len(data)) > journalSize {
		if err := os.Rename(j.path, j.older()); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// end writes all there is, with a note that nothing is missing. Events may come even later: then it has to be called again.
func (j *journal) end() {
	j.once.Do(func() { close(j.ended) })
	j.writing.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.used { // else the file may be another process's
		j.buffer = appendRecord(j.buffer, logged{}, time.Now(), recordEnd)
		j.flushLocked()
	}
}

func (j *journal) older() string { return j.path + ".old" }

// read returns the events of the last runs of the program, oldest first; whole reports that nothing is missing behind them.
func (j *journal) read(now time.Time) (events []logged, whole bool, err error) {
	whole = true
	for _, path := range []string{j.older(), j.path} {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, false, fmt.Errorf("reading the events of before: %w", err)
		}
		for whole = false; ; {
			e, at, flags, rest, ok := readRecord(data)
			if !ok {
				break
			}
			data = rest
			if whole = flags&recordEnd != 0; !whole && now.Sub(at) < journalAge {
				events = append(events, e)
			}
		}
	}
	return events, whole, nil
}

// appendRecord writes length, number, time, flags, owner, client, data and a checksum.
func appendRecord(b []byte, e logged, at time.Time, flags byte) []byte {
	if e.frame.binary {
		flags |= recordBinary
	}
	if e.to.Everyone {
		flags |= recordEveryone
	}
	from := len(b)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(e.frame.number)) //nolint:gosec // it counts up from a time
	b = binary.LittleEndian.AppendUint64(b, uint64(at.UnixMilli())) //nolint:gosec // a time after 1970
	b = append(b, flags)
	for _, text := range []string{e.to.Owner, e.to.Client} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	b = append(b, e.frame.data...)
	binary.LittleEndian.PutUint32(b[from:], uint32(len(b)-from)) //nolint:gosec // events are bounded
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b[from:]))
}

// readRecord reads the first record, or returns false if it is incomplete.
func readRecord(b []byte) (e logged, at time.Time, flags byte, rest []byte, ok bool) {
	const head, sum = 4 + 8 + 8 + 1, 4
	if len(b) < head+sum {
		return e, at, 0, nil, false
	}
	size := int(binary.LittleEndian.Uint32(b))
	if size < head || size > longestRecord || len(b) < size+sum || crc32.ChecksumIEEE(b[:size]) != binary.LittleEndian.Uint32(b[size:]) {
		return e, at, 0, nil, false
	}
	rest, b = b[size+sum:], b[:size]
	e.frame.number = int64(binary.LittleEndian.Uint64(b[4:]))      //nolint:gosec // as written
	at = time.UnixMilli(int64(binary.LittleEndian.Uint64(b[12:]))) //nolint:gosec // as written
	flags, b = b[20], b[head:]
	e.frame.binary, e.to.Everyone = flags&recordBinary != 0, flags&recordEveryone != 0
	for _, text := range []*string{&e.to.Owner, &e.to.Client} {
		n, width := binary.Uvarint(b)
		if width <= 0 || n > uint64(len(b)-width) {
			return e, at, 0, nil, false
		}
		*text, b = string(b[width:width+int(n)]), b[width+int(n):] //nolint:gosec // not above len(b)
	}
	e.frame.data = b
	return e, at, flags, rest, true
}
