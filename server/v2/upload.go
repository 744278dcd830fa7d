package v2

import (
	"errors"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/folders"
	"comfygo/queue"
)

// maxParts bounds the parts of a form.
const maxParts = 256

// form holds the fields of a form of POST /assets.
type form struct {
	temp   string // the folder for files on their way
	values map[string]string
	tags   []string
	staged string // where the file lies, "" before it is written
	hash   string
	size   int64
}

func (f *form) discard() {
	if f.staged != "" {
		_ = os.Remove(f.staged)
	}
}

// postAsset takes a file in. Statuses: 201 for new bytes, 200 for known ones, 409, 413, 422.
func (a *API) postAsset(c echo.Context) error {
	lib, owner, err := a.caller(c)
	if err != nil {
		return err
	}
	var it assets.Item
	created := false
	if err := a.once(c, "assets", func(*queue.Receipt) error {
		f := &form{temp: a.cfg.Folders("").Temp(), values: map[string]string{}}
		defer f.discard()
		if err := f.parse(c, a.cfg.Body); err != nil {
			return err
		}
		it, created, err = a.keep(c, lib, owner, f)
		return err
	}); err != nil {
		return assetError(err)
	}
	v, status := a.assetView(c, lib, it), http.StatusOK
	if v.CreatedNew = &created; created {
		status = http.StatusCreated
	}
	return send(c, status, v)
}

// keep enters an upload. Bytes that the caller sees already get one more record.
func (a *API) keep(c echo.Context, lib *assets.Library, owner string, f *form) (it assets.Item, created bool, err error) {
	ctx := c.Request().Context()
	file := f.values[pathKey]
	tags, err := placement(file, f.tags)
	if err != nil {
		return it, false, err
	}
	seen, err := usable(ctx, lib, f.hash, owner)
	if err != nil {
		return it, false, err
	}
	it, created, err = lib.Add(ctx, assets.Upload{
		Entry: entry(owner, file, f.values["content_type"], tags), Staged: f.staged, Hash: f.hash, ClientFile: path.Base(file),
		Hold: func(dir string) (assets.Quota, error) { return a.cfg.Hold(c, dir) },
	})
	return it, created || !seen, err // bytes that only others have are news to the caller
}

// placement returns the tags by which the catalogue chooses the folder of an upload with a file_path.
func placement(file string, tags []string) ([]string, error) {
	if file != path.Clean(file) || path.IsAbs(file) || file == ".." || strings.HasPrefix(file, "../") || strings.ContainsAny(file, "\x00\\") {
		return nil, invalid("file_path must be a plain relative path like photo.png or models/checkpoints/x.safetensors")
	}
	root, rest, deep := strings.Cut(file, "/")
	switch {
	case deep && root == "models":
		kind, _, ok := strings.Cut(rest, "/")
		if !ok {
			return nil, invalid("file_path of a model must be models/<folder>/<name>")
		}
		tags = append(slices.Clone(tags), "models", "model_type:"+kind)
	case deep && root == "output":
		tags = append(slices.Clone(tags), "output")
	case !slices.Contains(tags, "models") && !slices.Contains(tags, "output"):
		tags = append(slices.Clone(tags), "input")
	}
	return assets.CleanTags(tags), nil
}

// parse reads the form; the file is written directly to the temp folder and hashed meanwhile.
func (f *form) parse(c echo.Context, open func(echo.Context) (io.ReadCloser, error)) error {
	contentType, params, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	if err != nil || contentType != echo.MIMEMultipartForm || params["boundary"] == "" {
		return invalid("the body must be multipart/form-data")
	}
	body, err := open(c)
	if err != nil {
		return err
	}
	r := multipart.NewReader(body, params["boundary"])
	for n := 0; ; n++ {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && n >= maxParts {
			return invalid("the form has more than %d parts", maxParts)
		}
		if err == nil {
			err = f.readPart(p)
		}
		if err != nil {
			return formError(err)
		}
	}
	return f.check()
}

// formError distinguishes failures of our own files from a form that cannot be read.
func formError(err error) error {
	var own *fs.PathError
	var p *Problem
	if errors.As(err, &own) || errors.As(err, &p) {
		return err
	}
	return bodyError(err)
}

func (f *form) readPart(p *multipart.Part) error {
	switch name := p.FormName(); name {
	case "file":
		return f.readFile(p)
	case "content_type", pathKey, "expected_hash", "tags", "expires_in":
		data, err := io.ReadAll(io.LimitReader(p, maxTextBytes+1))
		if err != nil {
			return err
		}
		if len(data) > maxTextBytes || !utf8.Valid(data) {
			return invalid("%s must be a text of at most %d bytes", name, maxTextBytes)
		}
		if name == "tags" {
			f.tags = append(f.tags, string(data))
		}
		f.values[name] = strings.TrimSpace(string(data))
		return nil
	}
	_, err := io.Copy(io.Discard, p)
	return err
}

func (f *form) readFile(p *multipart.Part) (err error) {
	f.discard() // a second file takes the place of the first
	hash := assets.NewHasher()
	f.staged, f.size, err = folders.Stage(f.temp, io.TeeReader(p, hash))
	f.hash = hash.Hash()
	return err
}

// check checks the fields once all are present.
func (f *form) check() error {
	switch {
	case f.staged == "":
		return invalid("the form has no file")
	case f.values["content_type"] == "":
		return invalid("content_type is required")
	case f.values[pathKey] == "":
		return invalid("file_path is required")
	}
	if contentType, _, err := mime.ParseMediaType(f.values["content_type"]); err != nil || !strings.Contains(contentType, "/") {
		return invalid("content_type must be a media type like image/png")
	}
	f.tags = assets.CleanTags(f.tags)
	if len(f.tags) > maxTags {
		return invalid("there are more than %d tags", maxTags)
	}
	if text := f.values["expires_in"]; text != "" {
		if n, err := strconv.Atoi(text); err != nil || n < shortestStay || n > longestStay {
			return invalid("expires_in must be a whole number of seconds between %d and %d", shortestStay, longestStay)
		}
	}
	text := f.values["expected_hash"]
	if text == "" {
		return nil
	}
	expected, ok := assets.CleanHash(text)
	if !ok {
		return invalid("expected_hash must be blake3: and 64 hexadecimal digits")
	}
	if expected != f.hash {
		p := problem(http.StatusConflict, HashMismatch, "the bytes have another hash than expected_hash")
		p.Details = map[string]any{"expected": expected, "computed": f.hash}
		return p
	}
	return nil
}
