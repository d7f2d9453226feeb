package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// serverThatAnswers gives each of the answers once, the last one for ever: a status and an error's name. "" as the status' body: no error.
func serverThatAnswers(t *testing.T, answers ...string) (c *client, asked *int) {
	asked = new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer := answers[min(*asked, len(answers)-1)]
		*asked++
		status := map[string]int{"": 200, "InternalServerError": 500}[answer]
		if status == 0 {
			status = 400
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"__type":"com.amazonaws.dynamodb.v20120810#%s"}`, answer)
	}))
	t.Cleanup(s.Close)
	return newClient(s.URL, 0, 0), asked
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func TestTablesAreAdministeredThroughAnEngineThatComesBack(t *testing.T) {
	for _, one := range []struct {
		right   bool
		answers []string
	}{
		{true, []string{""}},
		{true, []string{"InternalServerError", "InternalServerError", ""}},
		{true, []string{"ThrottlingException", ""}},
		{true, []string{"InternalServerError", "ResourceNotFoundException"}}, // it had been deleted
		{false, []string{"ResourceNotFoundException"}},                       // by whom?
		{false, []string{"ThrottlingException", "ResourceNotFoundException"}},
		{false, []string{"ValidationException"}},
		{false, []string{"InternalServerError", "ValidationException"}},
	} {
		c, asked := serverThatAnswers(t, one.answers...)
		err := administer(c, "DeleteTable", object{"TableName": "t"}, &object{}, "ResourceNotFoundException")
		if (err == nil) != one.right || *asked != len(one.answers) {
			t.Errorf("%q: %v after %d requests", one.answers, err, *asked)
		}
	}
}

func TestAnEngineThatDoesNotComeBackIsAnError(t *testing.T) {
	defer func(before time.Duration) { longest = before }(longest)
	longest = 50 * time.Millisecond
	c, asked := serverThatAnswers(t, "InternalServerError")
	if err := administer(c, "DeleteTable", object{"TableName": "t"}, &object{}); err == nil || *asked < 1 {
		t.Errorf("%v after %d requests", err, *asked)
	}
}
