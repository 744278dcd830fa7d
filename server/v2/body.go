package v2

import (
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"comfygo/assets"
	"comfygo/internal/pyjson"
)

const (
	shortestStay = 60
	longestStay  = 7 * 24 * 3600
	maxTags      = 64
	maxTextBytes = 4096
)

// read returns a request's body.
func (a *API) read(c echo.Context) ([]byte, error) {
	body, err := a.cfg.Body(c)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(body)
	return data, bodyError(err)
}

// bodyError distinguishes a body that is too large from one that was cut off.
func bodyError(err error) error {
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large):
		return problem(http.StatusRequestEntityTooLarge, RequestTooLarge, "the body has more than %d bytes", large.Limit)
	}
	return invalid("the body cannot be read: %v", err)
}

// object returns a body that is a JSON object.
func (a *API) object(c echo.Context) (*pyjson.Object, error) {
	data, err := a.read(c)
	if err != nil {
		return nil, err
	}
	body, err := pyjson.UnmarshalObject(data)
	if err != nil {
		return nil, invalid("the body is no JSON object: %v", err)
	}
	return body, nil
}

// texts returns the fields that are to be texts; missing ones and null are "".
func texts(body *pyjson.Object, names ...string) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range names {
		v, _ := body.Get(name)
		if v == nil {
			continue
		}
		text, ok := v.(string)
		if !ok || len(text) > maxTextBytes {
			return nil, invalid("%s must be a text of at most %d bytes", name, maxTextBytes)
		}
		out[name] = text
	}
	return out, nil
}

func tagList(body *pyjson.Object) ([]string, error) {
	v, _ := body.Get("tags")
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok || len(list) > maxTags {
		return nil, invalid("tags must be a list of at most %d texts", maxTags)
	}
	var tags []string
	for _, t := range list {
		text, ok := t.(string)
		if !ok {
			return nil, invalid("tags must be a list of texts, not of %s", pyjson.TypeName(t))
		}
		tags = append(tags, text)
	}
	return assets.CleanTags(tags), nil
}

// retention checks expires_in, which changes nothing here: assets stay until they are deleted.
func retention(body *pyjson.Object) error {
	v, _ := body.Get("expires_in")
	if v == nil {
		return nil
	}
	n, ok := v.(int64)
	if !ok || n < shortestStay || n > longestStay {
		return invalid("expires_in must be a whole number of seconds between %d and %d", shortestStay, longestStay)
	}
	return nil
}

// onlyFields refuses fields that the contract does not have.
func onlyFields(o *pyjson.Object, where string, known ...string) error {
	for name := range o.All() {
		if !slices.Contains(known, name) {
			return invalid("%s must not have the field %q", where, name)
		}
	}
	return nil
}
