package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/mail"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/middleware"
	"comfygo/server/reply"
)

// Send answers with a file: ranges, conditional requests, and a packed copy beside it if the client takes that. The
// headers that are set already stay; without a content type the front end's table says it.
func (d Disk) Send(c echo.Context, path string) error {
	middleware.MarkFile(c)
	h := c.Response().Header()
	f, info, packed, err := d.openPacked(path, c.Request().Header.Get(echo.HeaderAcceptEncoding))
	if err != nil {
		return noFile(c, err)
	}
	defer f.Close()
	r := newFileReply(c, info)
	if status := r.conditions(); status != 0 {
		return r.unsent(status)
	}
	if h.Get(echo.HeaderContentType) == "" {
		h.Set(echo.HeaderContentType, reply.StaticType(path))
	}
	if packed != "" {
		h.Set(echo.HeaderContentEncoding, packed)
		h.Set(echo.HeaderVary, echo.HeaderAcceptEncoding)
	}
	return r.send(f)
}

// SendOpened answers with an opened file by the headers that are set already: ranges and conditional requests.
func SendOpened(c echo.Context, f *os.File, info fs.FileInfo) error {
	r := newFileReply(c, info)
	if status := r.conditions(); status != 0 {
		return r.unsent(status)
	}
	return r.send(f)
}

// noFile answers as upstream does for a file that is gone, no file or not readable.
func noFile(c echo.Context, err error) error {
	status := http.StatusNotFound
	if errors.Is(err, errNoRegularFile) || errors.Is(err, fs.ErrPermission) {
		status = http.StatusForbidden
	}
	h := c.Response().Header()
	if h.Get(echo.HeaderContentType) == "" {
		h.Set(echo.HeaderContentType, reply.OctetStream)
	}
	c.Response().WriteHeader(status)
	return nil
}

var errNoRegularFile = errors.New("not a regular file")

// openPacked opens a file, or the packed copy beside it that the client takes.
func (d Disk) openPacked(path, accepted string) (f *os.File, info fs.FileInfo, packed string, err error) {
	for _, p := range []struct{ name, ending string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if !strings.Contains(strings.ToLower(accepted), p.name) {
			continue
		}
		if f, info, err = d.Open(path + p.ending); err == nil {
			return f, info, p.name, nil
		}
	}
	f, info, err = d.Open(path)
	return f, info, "", err
}

// fileReply is an answer that sends a file, in whole or in part.
type fileReply struct {
	c        echo.Context
	h        http.Header
	req      *http.Request
	size     int64
	modified time.Time
	etag     string
}

func newFileReply(c echo.Context, info fs.FileInfo) *fileReply {
	return &fileReply{
		c: c, h: c.Response().Header(), req: c.Request(), size: info.Size(), modified: info.ModTime(),
		etag: fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()),
	}
}

// conditions evaluates the If- headers: 0, 304 or 412.
func (r *fileReply) conditions() int {
	match, since := r.req.Header.Get("If-Match"), r.date("If-Unmodified-Since")
	if match != "" && !r.matches(match, false) {
		return http.StatusPreconditionFailed
	}
	if match == "" && !since.IsZero() && r.modified.After(since) {
		return http.StatusPreconditionFailed
	}
	none, since := r.req.Header.Get("If-None-Match"), r.date("If-Modified-Since")
	if none != "" && r.matches(none, true) {
		return http.StatusNotModified
	}
	if none == "" && !since.IsZero() && !r.modified.After(since) {
		return http.StatusNotModified
	}
	return 0
}

// date parses a header's time, also in the formats of mail, where the zone is ignored; zero for an invalid one.
func (r *fileReply) date(header string) time.Time {
	text := r.req.Header.Get(header)
	if t, err := http.ParseTime(text); err == nil {
		return t
	}
	t, err := mail.ParseDate(text)
	if err != nil {
		return time.Time{}
	}
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

func (r *fileReply) matches(list string, weak bool) bool {
	if strings.TrimSpace(list) == "*" {
		return true
	}
	for tag := range strings.SplitSeq(list, ",") {
		tag = strings.TrimSpace(tag)
		if bare, is := strings.CutPrefix(tag, "W/"); is {
			if !weak {
				continue
			}
			tag = bare
		}
		if tag == r.etag {
			return true
		}
	}
	return false
}

func (r *fileReply) validators() {
	r.h.Set("Etag", r.etag)
	// The next whole second: a client that sends it back has seen a file that was changed within this one.
	r.h.Set(echo.HeaderLastModified, r.modified.Add(time.Second-1).UTC().Format(http.TimeFormat))
}

// unsent answers a conditional request whose condition decided.
func (r *fileReply) unsent(status int) error {
	if status == http.StatusNotModified {
		r.validators()
		if t := r.h.Get(echo.HeaderContentType); t != "" {
			// net/http takes the type off a 304, upstream sends it; names of headers have no case.
			r.h.Del(echo.HeaderContentType)
			r.h["content-type"] = []string{t}
		}
	} else {
		r.h.Set(echo.HeaderContentLength, "0")
	}
	r.c.Response().WriteHeader(status)
	return nil
}

// send sends the file, or the requested range.
func (r *fileReply) send(f *os.File) error {
	start, count, status := int64(0), r.size, http.StatusOK
	if given := r.req.Header.Get("Range"); given != "" && r.rangeApplies() {
		var ok bool
		if start, count, ok = parseRange(given, r.size); !ok {
			r.h.Set("Content-Range", fmt.Sprintf("bytes */%d", r.size))
			r.c.Response().WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return nil
		}
		status = http.StatusPartialContent
		r.h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, start+count-1, r.size))
	}
	r.validators()
	r.h.Set("Accept-Ranges", "bytes")
	r.h.Set(echo.HeaderContentLength, strconv.FormatInt(count, 10))
	r.c.Response().WriteHeader(status)
	if r.req.Method == http.MethodHead || count == 0 {
		return nil
	}
	if _, err := f.Seek(start, io.SeekStart); err != nil {
		return fmt.Errorf("sending a file: %w", err)
	}
	// Past echo's wrapper, so that the kernel copies the file to the socket.
	_, err := io.CopyN(r.c.Response().Writer, f, count)
	if err != nil {
		return fmt.Errorf("sending a file: %w", err)
	}
	return nil
}

// rangeApplies evaluates If-Range; only dates count.
func (r *fileReply) rangeApplies() bool {
	since := r.date("If-Range")
	return since.IsZero() || !r.modified.After(since)
}

// parseRange reads a single range of bytes; everything else is not satisfiable.
func parseRange(text string, size int64) (start, count int64, ok bool) {
	unit, text, found := strings.Cut(text, "=")
	from, to, dash := strings.Cut(text, "-")
	if !found || !strings.EqualFold(unit, "bytes") || !dash || !Digits(from) || !Digits(to) || from == "" && to == "" {
		return 0, 0, false
	}
	if from == "" { // the last bytes
		n, err := strconv.ParseInt(to, 10, 64)
		if err != nil || n == 0 || size == 0 {
			return 0, 0, false
		}
		n = min(n, size)
		return size - n, n, true
	}
	start, err := strconv.ParseInt(from, 10, 64)
	if err != nil || start >= size {
		return 0, 0, false
	}
	if to == "" {
		return start, size - start, true
	}
	end, err := strconv.ParseInt(to, 10, 64)
	if err != nil {
		end = size - 1 // more digits than a file can have bytes
	}
	if end < start {
		return 0, 0, false
	}
	end = min(end, size-1)
	return start, end - start + 1, true
}

// Digits reports whether a text holds ASCII digits alone; the empty text does.
func Digits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}
