package assets

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/internal/pyjson"
	"comfygo/server/hub"
	"comfygo/server/reply"
)

// AssetHandler lets only UUIDs through as ids and answers 503 without a library.
func (s *Service) AssetHandler(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if slices.Contains(c.ParamNames(), "id") && !reply.IsJobID(assetID(c)) {
			return s.Unrouted(c, nil)
		}
		if s.Library == nil {
			return s.assetError(c, http.StatusServiceUnavailable, "SERVICE_DISABLED",
				"Assets system is disabled. Start the server with --enable-assets to use this feature.", nil)
		}
		return s.Access.InOwnFolders(next)(c)
	}
}

func assetID(c echo.Context) string { return strings.ToLower(c.Param("id")) }

// Owner returns the owner of the references that a request may see and change.
func (s *Store) Owner(c echo.Context) (string, error) {
	owner, err := s.Users.Of(c.Request())
	if err != nil {
		return "", reply.Trouble("looking for the user: %w", err)
	}
	return owner, nil
}

// assetError answers in the shape of the asset API's errors; details may be nil.
func (s *Service) assetError(c echo.Context, status int, code, message string, details *pyjson.Object) error {
	if details == nil {
		details = pyjson.NewObject()
	}
	return s.Reply.JSON(c, status, pyjson.NewObject("error", pyjson.NewObject("code", code, "message", message, "details", details)))
}

// assetProblem answers an error of the library: what is the client's doing in the API's shape.
func (s *Service) assetProblem(c echo.Context, err error, details *pyjson.Object) error {
	p, ok := assets.IsProblem(err)
	if !ok {
		return err
	}
	answer := func(status int, code string) error { return s.assetError(c, status, code, p.Message, details) }
	switch p.Kind {
	case assets.NotFound:
		return answer(http.StatusNotFound, "ASSET_NOT_FOUND")
	case assets.Forbidden:
		return answer(http.StatusForbidden, "FORBIDDEN")
	case assets.HashMismatch:
		return answer(http.StatusBadRequest, "HASH_MISMATCH")
	case assets.InvalidCursor:
		return answer(http.StatusBadRequest, "INVALID_CURSOR")
	case assets.NoFile:
		return answer(http.StatusNotFound, "FILE_NOT_FOUND")
	}
	return answer(http.StatusBadRequest, "INVALID_BODY")
}

func idDetails(c echo.Context) *pyjson.Object { return pyjson.NewObject("id", assetID(c)) }

// Watch passes the scanner's events on to all clients; with owners to administrators, since the
// scanner finds files of all owners.
func (s *Store) Watch() {
	if s.Library == nil {
		return
	}
	s.Library.Notify(func(event string, data *pyjson.Object) {
		if s.Access.Owned() {
			s.Hub.Oversee(event, data)
			return
		}
		s.Hub.Send(event, data, hub.Everyone)
	})
}

// Pause keeps the scanner from work while a prompt runs. The function that it returns enters the run's outputs and
// lets the scanner go on.
func (s *Store) Pause() (after func(ctx context.Context, job string, outputs *pyjson.Object)) {
	lib := s.Library
	if lib == nil {
		return func(context.Context, string, *pyjson.Object) {}
	}
	lib.Pause()
	return func(ctx context.Context, job string, outputs *pyjson.Object) {
		lib.Finished(context.WithoutCancel(ctx), job, outputs) // an interrupted run has outputs, too
		lib.LookInto(assets.Output)
		lib.Resume()
	}
}

// PostSeed starts a scan; with ?wait=true it answers when the scan has ended.
func (s *Service) PostSeed(c echo.Context) error {
	roots, err := s.seedRoots(c)
	if err != nil {
		return err
	}
	if len(roots) == 0 {
		return s.assetError(c, http.StatusBadRequest, "INVALID_BODY", "No valid roots specified", nil)
	}
	lib := s.Library
	if !lib.Scan(roots) {
		return s.Reply.JSON(c, http.StatusConflict, pyjson.NewObject("status", "already_running"))
	}
	wait, _ := reply.Query(c, "wait")
	if !slices.Contains([]string{"true", "1", "yes"}, strings.ToLower(wait)) {
		return s.Reply.JSON(c, http.StatusAccepted, pyjson.NewObject("status", "started"))
	}
	if err := lib.Wait(c.Request().Context()); err != nil {
		return reply.Trouble("waiting for the scan: %w", err)
	}
	st := lib.Status()
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("status", "completed", "progress", progressOf(st), "errors", st.Errors))
}

// seedRoots reads the folders to scan: those of the body that exist, by default all.
func (s *Service) seedRoots(c echo.Context) ([]assets.Root, error) {
	data, err := s.Reply.ReadBody(c)
	if err != nil {
		return nil, err
	}
	body, err := pyjson.UnmarshalObject(data)
	if err != nil || !body.Has("roots") {
		return assets.Everything(), nil
	}
	given, _ := body.Get("roots")
	names, _ := given.([]any)
	var roots []assets.Root
	for _, n := range names {
		name, _ := n.(string)
		if r := assets.Root(name); slices.Contains(assets.Everything(), r) && !slices.Contains(roots, r) {
			roots = append(roots, r)
		}
	}
	return roots, nil
}

func progressOf(st assets.Status) any {
	if st.Progress == nil {
		return nil
	}
	p := st.Progress
	return pyjson.NewObject("scanned", p.Scanned, "total", p.Total, "created", p.Created, "skipped", p.Skipped)
}

// GetSeedStatus returns the progress of the scan.
func (s *Service) GetSeedStatus(c echo.Context) error {
	st := s.Library.Status()
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("state", string(st.State), "progress", progressOf(st), "errors", st.Errors))
}

// PostSeedCancel ends the running scan.
func (s *Service) PostSeedCancel(c echo.Context) error {
	status := "idle"
	if s.Library.Cancel() {
		status = "cancelling"
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("status", status))
}

// PostPrune marks references as missing whose files are in none of the folders.
func (s *Service) PostPrune(c echo.Context) error {
	n, err := s.Library.Prune(c.Request().Context())
	if errors.Is(err, assets.ErrScanning) {
		return s.Reply.JSON(c, http.StatusConflict, pyjson.NewObject("status", "scan_running", "marked", 0))
	}
	if err != nil {
		return err
	}
	return s.Reply.JSON(c, http.StatusOK, pyjson.NewObject("status", "completed", "marked", n))
}
