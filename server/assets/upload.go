package assets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/server/reply"
)

// assetUpload holds the fields of a form of POST /api/assets.
type assetUpload struct {
	hasFile, known         bool
	client, staged, hash   string // of the file
	size                   int64
	tags                   []string
	name, metadata, given  string // given is the hash that the form names
	contentType, previewID string
}

// uploadError is a form that cannot be used.
type uploadError struct {
	status        int
	code, message string
}

// Error describes the fault of the form.
func (e *uploadError) Error() string { return e.message }

var errBadHash = &uploadError{http.StatusBadRequest, "INVALID_HASH", "hash must be like 'blake3:<hex>'"}

// PostAsset stores an uploaded file, or makes a reference to known content.
func (s *Service) PostAsset(c echo.Context) error {
	owner, err := s.Assets.Owner(c)
	if err != nil {
		return err
	}
	u := &assetUpload{}
	defer u.discard()
	if err := s.readAssetForm(c, u); err != nil {
		var e *uploadError
		if errors.As(err, &e) {
			return s.assetError(c, e.status, e.code, e.message, nil)
		}
		return err
	}
	entry, f := u.entry(owner)
	if f.errs != nil {
		text, err := pyjson.Marshal(f.errs)
		if err != nil {
			return err
		}
		var tight bytes.Buffer
		if err := json.Compact(&tight, text); err != nil {
			return err
		}
		return s.assetError(c, http.StatusBadRequest, "INVALID_BODY", "Validation failed: "+tight.String(), nil)
	}
	ctx := c.Request().Context()
	var it assets.Item
	created := false
	switch {
	case u.known:
		if entry.Name == "" {
			entry.Name = strings.TrimPrefix(u.given, "blake3:")
		}
		it, err = s.Library.FromHash(ctx, u.given, entry)
	case u.given != "" && u.given != u.hash:
		err = &assets.Problem{Kind: assets.HashMismatch, Message: "Uploaded file hash does not match provided hash."}
	default:
		it, created, err = s.Library.Add(ctx, assets.Upload{Entry: entry, Staged: u.staged, Hash: u.hash, ClientFile: u.client, Hold: s.hold(c)})
	}
	if err != nil {
		return s.assetProblem(c, err, nil)
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return s.sendAsset(c, status, it, &created)
}

// hold is how the catalogue asks what the caller may keep.
func (s *Service) hold(c echo.Context) func(dir string) (assets.Quota, error) {
	return func(dir string) (assets.Quota, error) { return s.Access.Hold(c, dir) }
}

func (u *assetUpload) discard() {
	if u.staged != "" {
		_ = os.Remove(u.staged)
	}
}

// readAssetForm reads the form; the file is written directly to the temp folder and hashed
// meanwhile.
func (s *Service) readAssetForm(c echo.Context, u *assetUpload) error {
	contentType, params, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	if err != nil || !strings.HasPrefix(contentType, "multipart/") {
		return &uploadError{http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "Use multipart/form-data for uploads."}
	}
	if params["boundary"] == "" {
		return unreadable(errors.New("the form has no boundary"))
	}
	body, err := s.Reply.Limited(c)
	if err != nil {
		return err
	}
	r := multipart.NewReader(body, params["boundary"])
	for n := 0; ; n++ {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) && n > 0 || err == io.EOF { //nolint:errorlint // bare, it is the end of a form without parts
			break
		}
		if err == nil && n >= reply.MaxParts {
			err = fmt.Errorf("more than %d parts", reply.MaxParts)
		}
		if err == nil {
			err = s.readAssetPart(c, u, p)
		}
		if err != nil {
			return s.formError(err)
		}
	}
	switch {
	case !u.hasFile && !u.known:
		return &uploadError{http.StatusBadRequest, "MISSING_FILE", "Form must include a 'file' part or a known 'hash'."}
	case u.hasFile && u.size == 0 && !u.known:
		return &uploadError{http.StatusBadRequest, "EMPTY_UPLOAD", "Uploaded file is empty."}
	}
	return nil
}

func unreadable(err error) error {
	return &uploadError{http.StatusBadRequest, "INVALID_BODY", "The form cannot be read: " + err.Error()}
}

// formError distinguishes a form that is too large or invalid from failures of the server.
func (s *Service) formError(err error) error {
	var large *http.MaxBytesError
	var known *uploadError
	var path *os.PathError
	switch {
	case errors.As(err, &large):
		return reply.TooLarge(large.Limit)
	case errors.As(err, &known), errors.As(err, &path):
		return err
	}
	return unreadable(err)
}

func (s *Service) readAssetPart(c echo.Context, u *assetUpload, p *multipart.Part) error {
	_, params, err := mime.ParseMediaType(reply.Unescaped(p.Header.Get(echo.HeaderContentDisposition)))
	if err != nil {
		return err
	}
	name := params["name"]
	switch name {
	case "file":
		return s.readAssetFile(u, p, strings.TrimLeft(params["filename"], `\/`))
	case "id":
		return &uploadError{http.StatusBadRequest, "UNSUPPORTED_FIELD", "Client-provided 'id' is not supported. Asset IDs are assigned by the server."}
	case "hash", "tags", "name", "user_metadata", "mime_type", "preview_id":
	default:
		_, err := io.Copy(io.Discard, p)
		return err
	}
	data, err := io.ReadAll(io.LimitReader(p, reply.MaxFieldSize+1))
	if err != nil {
		return err
	}
	if len(data) > reply.MaxFieldSize || !utf8.Valid(data) {
		return fmt.Errorf("the field %q is not a text of at most %d bytes", name, reply.MaxFieldSize)
	}
	return s.assetField(c, u, name, string(data))
}

func (s *Service) assetField(c echo.Context, u *assetUpload, name, text string) (err error) {
	switch name {
	case "hash":
		if strings.TrimSpace(text) == "" {
			return nil
		}
		var ok bool
		if u.given, ok = assets.CleanHash(text); !ok {
			return errBadHash
		}
		u.known, err = s.Library.Knows(c.Request().Context(), u.given)
	case "tags":
		u.tags = append(u.tags, text)
	case "name":
		u.name = strings.TrimSpace(text)
	case "user_metadata":
		u.metadata = strings.TrimSpace(text)
	case "mime_type":
		u.contentType = strings.TrimSpace(text)
	case "preview_id":
		u.previewID = strings.TrimSpace(text)
	}
	return err
}

// readAssetFile stores the file, unless the form has named known content.
func (s *Service) readAssetFile(u *assetUpload, p io.Reader, client string) (err error) {
	u.hasFile, u.client = true, strings.TrimSpace(client)
	if u.known {
		u.size, err = io.Copy(io.Discard, p)
		return err
	}
	u.discard() // a second file takes the place of the first
	hash := assets.NewHasher()
	u.staged, u.size, err = folders.Stage(s.Folders.Temp(), io.TeeReader(p, hash))
	u.hash = hash.Hash()
	return err
}

// entry checks the form's texts.
func (u *assetUpload) entry(owner string) (assets.Entry, *checked) {
	f := &checked{}
	e := assets.Entry{Owner: owner, Name: u.name, MIME: u.contentType, PreviewID: u.previewID, User: pyjson.NewObject()}
	for _, text := range u.tags {
		e.Tags = append(e.Tags, formTags(text)...)
	}
	e.Tags = assets.CleanTags(e.Tags)
	if utf8.RuneCountInString(u.name) > 512 {
		f.wrong("string_too_long", "String should have at most 512 characters", u.name, pyjson.NewObject("max_length", 512), "name")
	}
	if u.metadata == "" {
		return e, f
	}
	v, err := pyjson.Unmarshal([]byte(u.metadata))
	o, ok := v.(*pyjson.Object)
	switch {
	case err != nil:
		f.valueError("user_metadata must be JSON: "+pythonJSONError(u.metadata, err), u.metadata, "user_metadata")
	case !ok:
		f.valueError("user_metadata must be a JSON object", u.metadata, "user_metadata")
	default:
		e.User = o
	}
	return e, f
}

// formTags reads tags as a JSON list or separated by commas.
func formTags(text string) (tags []string) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "[") {
		if v, err := pyjson.Unmarshal([]byte(text)); err == nil {
			list, _ := v.([]any)
			for _, t := range list {
				tags = append(tags, pyjson.Str(t))
			}
			return tags
		}
	}
	return strings.Split(text, ",")
}

// PostAssetFromHash makes a reference to known content.
func (s *Service) PostAssetFromHash(c echo.Context) error {
	owner, err := s.Assets.Owner(c)
	if err != nil {
		return err
	}
	f, ok, err := s.checkBody(c, "CreateFromHashBody")
	if err != nil || !ok {
		return err
	}
	hash, entry := f.fromHash(owner)
	if f.errs != nil {
		return s.invalid(c, f, "INVALID_BODY", "Validation failed.")
	}
	it, err := s.Library.FromHash(c.Request().Context(), hash, entry)
	if err != nil {
		return s.assetProblem(c, err, nil)
	}
	created := false
	return s.sendAsset(c, http.StatusCreated, it, &created)
}

// fromHash reads the body of POST /api/assets/from-hash.
func (f *checked) fromHash(owner string) (hash string, e assets.Entry) {
	if f.errs != nil {
		return "", e
	}
	e.Owner = owner
	given, there := f.body.Get("hash")
	text, ok := given.(string)
	switch {
	case !there:
		f.wrong("missing", "Field required", f.body, nil, "hash")
	case !ok:
		f.wrong("string_type", "Input should be a valid string", given, nil, "hash")
	default:
		if hash, ok = assets.CleanHash(text); !ok {
			f.valueError("hash must be 'blake3:<hex>'", given, "hash")
		}
	}
	trim := func(name string) string {
		if v := f.bodyText(name); v != nil {
			return strings.TrimSpace(*v)
		}
		return ""
	}
	e.Name = trim("name")
	tags, _ := f.body.Get("tags")
	switch tags := tags.(type) {
	case string:
		e.Tags = strings.Split(tags, ",")
	case []any:
		for _, t := range tags {
			e.Tags = append(e.Tags, pyjson.Str(t))
		}
	}
	e.Tags = slices.Clip(assets.CleanTags(e.Tags))
	e.User = f.bodyObject("user_metadata", false)
	e.MIME, e.PreviewID = trim("mime_type"), trim("preview_id")
	return hash, e
}
