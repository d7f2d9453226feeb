// A DAX client of Go (SDK v1) under a test's command: lines of {"op", "params"} in, lines of {"result"} or {"error"} out,
// both in DynamoDB JSON.
//
//	go1 dax://127.0.0.1:8111 region [requests at once]
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-dax-go/dax"
	"github.com/aws/aws-sdk-go/aws/awserr"
	"github.com/aws/aws-sdk-go/aws/credentials"
	"github.com/aws/aws-sdk-go/private/protocol/json/jsonutil"
	"github.com/aws/aws-sdk-go/service/dynamodb"
)

type request struct {
	Op     string
	Params json.RawMessage
	ID     any
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

// The client's method of an operation, "getItem" or "GetItem".
func call(client *dax.Dax, op string, params []byte) (any, error) {
	method := reflect.ValueOf(client).MethodByName(strings.ToUpper(op[:1]) + op[1:])
	if !method.IsValid() {
		return nil, fmt.Errorf("no operation %s", op)
	}
	in := reflect.New(method.Type().In(0).Elem())
	if err := jsonutil.UnmarshalJSON(in.Interface(), bytes.NewReader(params)); err != nil {
		return nil, err
	}
	out := method.Call([]reflect.Value{in})
	err, _ := out[1].Interface().(error)
	return out[0].Interface(), err
}

func describe(err error) map[string]any {
	about := map[string]any{"message": err.Error()}
	if failed, ok := err.(awserr.Error); ok {
		about["code"], about["message"] = failed.Code(), failed.Message()
		if failed.OrigErr() != nil {
			about["because"] = failed.OrigErr().Error()
		}
	}
	if failed, ok := err.(awserr.RequestFailure); ok {
		about["status"], about["requestId"] = failed.StatusCode(), failed.RequestID()
	}
	if canceled, ok := err.(*dynamodb.TransactionCanceledException); ok {
		reasons := []json.RawMessage{}
		for _, reason := range canceled.CancellationReasons {
			text, _ := jsonutil.BuildJSON(reason)
			reasons = append(reasons, text)
		}
		about["reasons"] = reasons
	}
	return about
}

func main() {
	config := dax.DefaultConfig()
	config.HostPorts = []string{os.Args[1]}
	config.Region = os.Args[2]
	config.WriteRetries, config.ReadRetries = 1, 1
	if ms, err := strconv.Atoi(os.Getenv("DAX_REFRESH_MS")); err == nil { // how often it looks for the nodes
		config.ClusterUpdateInterval = time.Duration(ms) * time.Millisecond
	}
	config.Credentials = credentials.NewStaticCredentials(
		env("DAX_ACCESS_KEY", "test"), env("DAX_SECRET_KEY", "test"), os.Getenv("DAX_SESSION_TOKEN"))
	if strings.HasPrefix(os.Args[1], "daxs://") { // a certificate made for the test
		config.SkipHostnameVerification = true
		dialer := tls.Dialer{NetDialer: &net.Dialer{}, Config: &tls.Config{InsecureSkipVerify: true}}
		config.DialContext = dialer.DialContext
	}
	client, err := dax.New(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	parallel := 1
	if len(os.Args) > 3 {
		parallel, _ = strconv.Atoi(os.Args[3])
	}
	slots := make(chan struct{}, parallel)
	var all sync.WaitGroup
	var writing sync.Mutex
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 64<<20)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		slots <- struct{}{}
		all.Add(1)
		go func() {
			defer func() { <-slots; all.Done() }()
			answer := map[string]any{"id": r.ID}
			result, err := call(client, r.Op, r.Params)
			if err != nil {
				answer["error"] = describe(err)
			} else {
				text, _ := jsonutil.BuildJSON(result)
				answer["result"] = json.RawMessage(text)
			}
			text, _ := json.Marshal(answer)
			writing.Lock()
			fmt.Println(string(text))
			writing.Unlock()
		}()
	}
	all.Wait()
}
