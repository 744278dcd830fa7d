package files

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/textproto"
	"os"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/internal/imaging/codec"
	"comfygo/internal/pyjson"
	"comfygo/server/disk"
	"comfygo/server/reply"
)

// upload holds the fields of a form of /upload/image or /upload/mask.
type upload struct {
	fields map[string]string // values of text parts, the first of each name
	isFile map[string]bool   // names of parts that are files
	name   string            // the image part's file name
	staged string            // the image part's contents, in a file of the temp folder
	masked string            // what a mask was made into, in another one
}

// readUpload reads a form; the image part is written directly to a file. The caller removes it with discard.
func (s *Service) readUpload(c echo.Context) (*upload, error) {
	u := &upload{fields: map[string]string{}, isFile: map[string]bool{}}
	contentType, params, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	if err != nil && c.Request().Header.Get(echo.HeaderContentType) != "" {
		return nil, reply.Trouble("reading a form: %w", err)
	}
	body, err := s.Reply.Limited(c)
	if err != nil {
		return nil, err
	}
	switch contentType {
	case "multipart/form-data":
		if params["boundary"] == "" {
			return nil, reply.Trouble("reading a form: it has no boundary")
		}
		if err := s.readParts(u, multipart.NewReader(body, params["boundary"])); err != nil {
			u.discard()
			return nil, s.Reply.BodyError(err)
		}
	case "application/x-www-form-urlencoded":
		c.Request().Body = body
		if err := c.Request().ParseForm(); err != nil {
			return nil, s.Reply.BodyError(err)
		}
		for k, v := range c.Request().PostForm {
			u.fields[k] = v[0]
		}
	}
	return u, nil
}

func (u *upload) discard() {
	for _, file := range []string{u.staged, u.masked} {
		if file != "" {
			_ = os.Remove(file)
		}
	}
}

// size returns the number of bytes that will be stored.
func (u *upload) size() (int64, error) {
	file := u.staged
	if u.masked != "" {
		file = u.masked
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, fmt.Errorf("keeping an upload: %w", err)
	}
	return info.Size(), nil
}

func (s *Service) readParts(u *upload, r *multipart.Reader) error {
	for n := 0; ; n++ {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) && n > 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a form: %w", err)
		}
		if n >= reply.MaxParts {
			return fmt.Errorf("reading a form: more than %d parts", reply.MaxParts)
		}
		if err := s.readPart(u, p); err != nil {
			return err
		}
	}
}

func (s *Service) readPart(u *upload, p *multipart.Part) error {
	// Part.FileName cuts the name to its last element; upstream takes it as it was sent.
	_, params, err := mime.ParseMediaType(reply.Unescaped(p.Header.Get(echo.HeaderContentDisposition)))
	if err != nil {
		return fmt.Errorf("reading a form: %w", err)
	}
	contents, err := transferred(p, p.Header)
	if err != nil {
		return fmt.Errorf("reading a form: %w", err)
	}
	name, file := params["name"], strings.TrimLeft(params["filename"], `\/`)
	_, known := u.fields[name]
	known = known || u.isFile[name]
	switch {
	case file != "" && name == "image" && !known:
		u.isFile[name], u.name = true, file
		return s.stage(u, contents)
	case file != "":
		u.isFile[name] = true
		_, err = io.Copy(io.Discard, p)
		return err
	}
	text, err := io.ReadAll(io.LimitReader(contents, reply.MaxFieldSize+1))
	if err == nil && len(text) > reply.MaxFieldSize {
		err = fmt.Errorf("reading a form: the field %q has more than %d bytes", name, reply.MaxFieldSize)
	}
	if err == nil && !known {
		if u.fields[name], err = reply.DecodedText(text, p.Header.Get(echo.HeaderContentType)); err != nil {
			err = fmt.Errorf("reading a form: the field %q: %w", name, err)
		}
	}
	return err
}

// transferred returns the contents of a part, decoded if its headers declare an encoding.
func transferred(p io.Reader, about textproto.MIMEHeader) (io.Reader, error) {
	switch coding := strings.ToLower(strings.TrimSpace(about.Get("Content-Transfer-Encoding"))); coding {
	case "", "binary", "8bit", "7bit":
		return p, nil
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, p), nil
	case "quoted-printable":
		return quotedprintable.NewReader(p), nil
	default:
		return nil, fmt.Errorf("the transfer encoding %q is unknown", coding)
	}
}

// stage writes the image part to a temporary file, so that an incomplete form leaves nothing behind.
func (s *Service) stage(u *upload, p io.Reader) (err error) {
	u.staged, _, err = folders.Stage(s.Folders.Temp(), p)
	return err
}

// PostUploadImage keeps a file in the input, output or temp folder.
func (s *Service) PostUploadImage(c echo.Context) error {
	return s.receive(c, refuseForeign, func(u *upload, path string, fresh bool) error { return s.move(u.staged, path, fresh) })
}

// move gives a staged file its path, which must be free if fresh is set: another server may share the folder. Where files are kept in a store, that
// decides which names are free.
func (s *Service) move(staged, path string, fresh bool) error {
	if fresh && !s.Folders.HasRemote() {
		return s.Disk.MoveNew(staged, path)
	}
	return s.Disk.Move(staged, path)
}

// refuseForeign refuses images of formats that are known and not decoded: no node could load them.
func refuseForeign(u *upload, _ string) error {
	f, err := os.Open(u.staged)
	if err != nil {
		return fmt.Errorf("keeping an upload: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was read only
	const enough = 512
	head, err := io.ReadAll(io.LimitReader(f, enough))
	if err != nil {
		return fmt.Errorf("keeping an upload: %w", err)
	}
	if name := codec.Foreign(head); name != "" {
		return reply.Trouble("keeping an upload: %s images are not supported; save it as one of %s", name, strings.Join(codec.Names(), ", "))
	}
	return nil
}

// receive reads a form, finds the place for its image, calls prepare and, while no other upload looks for a free name, save
// to put it there.
func (s *Service) receive(c echo.Context, prepare func(u *upload, path string) error, save func(u *upload, path string, fresh bool) error) error {
	u, err := s.readUpload(c)
	if err != nil {
		return err
	}
	defer u.discard()
	kind, given := u.fields["type"]
	if !given && !u.isFile["type"] {
		kind = "input"
	}
	root, ok := s.Access.Folders(c).Dir(kind)
	if !ok {
		return reply.Trouble("keeping an upload: unknown type %q", kind)
	}
	if u.staged == "" {
		if _, isText := u.fields["image"]; isText {
			return reply.Trouble("keeping an upload: the part image is text, not a file")
		}
		return s.Reply.Empty(c, http.StatusBadRequest)
	}
	subfolder := u.fields["subfolder"]
	dir, path, ok := destination(root, subfolder, u.name)
	if !ok {
		return s.Reply.Empty(c, http.StatusBadRequest)
	}
	quota, err := s.Access.Hold(c, root)
	if err != nil {
		return err
	}
	defer quota.Release()
	if err := quota.FoldersFor(path); err != nil {
		return err
	}
	if err := s.Disk.MakeDir(dir); err != nil {
		return reply.Trouble("keeping an upload: %w", err)
	}
	if err := prepare(u, path); err != nil {
		return err
	}
	overwrite := u.fields["overwrite"] == "true" || u.fields["overwrite"] == "1"
	name, err := s.keep(c.Request().Context(), u, dir, path, overwrite, func(u *upload, path string) error {
		size, err := u.size()
		if err == nil {
			err = quota.Room(size, path)
		}
		if err == nil {
			err = save(u, path, !overwrite)
		}
		if err != nil {
			return err
		}
		return s.store(c.Request().Context(), u, path, overwrite)
	})
	if err != nil {
		return err
	}
	reply := pyjson.NewObject("name", name, "subfolder", subfolder, "type", kind)
	s.Assets.Register(c, reply, disk.Join(dir, name))
	return s.Reply.JSON(c, http.StatusOK, reply)
}

// destination returns the path of an upload, or false if it is outside root, links resolved.
func destination(root, subfolder, name string) (dir, path string, ok bool) {
	if strings.ContainsRune(subfolder+name, 0) {
		return "", "", false
	}
	dir = disk.Join(root, subfolder)
	path = disk.Join(dir, name)
	ok = disk.LexicallyWithin(root, path) && disk.LexicallyWithin(root, dir) && folders.Within(root, path) && folders.Within(root, dir)
	return dir, path, ok
}

// keep saves an upload under its name or, when a file with other contents has it, the next free "name (1).ext". A file
// with the same contents is left and its name returned.
func (s *Service) keep(ctx context.Context, u *upload, dir, path string, overwrite bool, save func(*upload, string) error) (name string, err error) {
	end, err := s.Turns.Take()
	if err != nil {
		return "", err
	}
	defer end()
	name = u.name
	base, ending := reply.SplitExt(name)
	lost := 0 // names that other servers took meanwhile
	for i := 1; ; i++ {
		taken, err := s.taken(ctx, path)
		if err != nil {
			return "", err
		}
		if overwrite || !taken {
			if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
				return "", reply.Trouble("keeping an upload: %q is not a file", name)
			}
			err := save(u, path)
			switch {
			case errors.Is(err, fs.ErrExist) && !overwrite && lost < maxLost:
				lost++
				i-- // the other server's file is looked at first
				continue
			case err != nil && disk.NamedWrong(err):
				return "", reply.Trouble("keeping an upload: %w", err)
			}
			return name, err
		}
		same, err := s.Disk.Same(u.staged, path)
		if err != nil {
			return "", reply.Trouble("keeping an upload: %w", err)
		}
		if same {
			return name, nil
		}
		name = fmt.Sprintf("%s (%d)%s", base, i, ending)
		path = disk.Join(dir, name)
	}
}

// maxLost bounds how often an upload tries again when another server has taken its name.
const maxLost = 100

// taken reports whether a name has a file, which is on this machine then.
func (s *Service) taken(ctx context.Context, path string) (bool, error) {
	err := s.Folders.Fetch(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // what lies here alone is of no use to others
	}
	return disk.Exists(path), err
}

// store puts a saved upload where other servers and workers find it. If that fails, it is no longer under its name; it is where it was staged if
// another server has taken the name.
func (s *Service) store(ctx context.Context, u *upload, path string, overwrite bool) error {
	if !s.Folders.HasRemote() || !disk.Exists(path) { // an upload may have changed nothing
		return nil
	}
	keep := s.Folders.KeepNew
	if overwrite {
		keep = s.Folders.Keep
	}
	err := keep(ctx, path)
	switch {
	case errors.Is(err, fs.ErrExist):
		staged := u.staged
		if u.masked != "" {
			staged = u.masked
		}
		return errors.Join(err, s.Disk.Move(path, staged))
	case err != nil:
		return errors.Join(err, s.Disk.Remove(path))
	}
	return nil
}
