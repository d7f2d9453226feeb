// A DAX client of Go (SDK v2) under a test's command: lines of {"op", "params"} in, lines of {"result"} or {"error"} out,
// both in DynamoDB JSON.
//
//	go2 dax://127.0.0.1:8111 region [requests at once]
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-dax-go-v2/dax"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

type request struct {
	Op     string
	Params json.RawMessage
	ID     any
}

var attributeValue = reflect.TypeOf((*types.AttributeValue)(nil)).Elem()

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// --- DynamoDB JSON to the SDK's structs, which have none ---

func readValue(text json.RawMessage) types.AttributeValue {
	var one map[string]json.RawMessage
	check(json.Unmarshal(text, &one))
	for kind, inner := range one {
		switch kind {
		case "S":
			v := &types.AttributeValueMemberS{}
			check(json.Unmarshal(inner, &v.Value))
			return v
		case "N":
			v := &types.AttributeValueMemberN{}
			check(json.Unmarshal(inner, &v.Value))
			return v
		case "B":
			v := &types.AttributeValueMemberB{}
			check(json.Unmarshal(inner, &v.Value))
			return v
		case "BOOL":
			v := &types.AttributeValueMemberBOOL{}
			check(json.Unmarshal(inner, &v.Value))
			return v
		case "NULL":
			return &types.AttributeValueMemberNULL{Value: true}
		case "SS":
			v := &types.AttributeValueMemberSS{}
			check(json.Unmarshal(inner, &v.Value))
			return v
		case "NS":
			v := &types.AttributeValueMemberNS{}
			check(json.Unmarshal(inner, &v.Value))
			return v
		case "BS":
			v := &types.AttributeValueMemberBS{}
			check(json.Unmarshal(inner, &v.Value))
			return v
		case "L":
			v := &types.AttributeValueMemberL{}
			read(inner, reflect.ValueOf(&v.Value).Elem())
			return v
		case "M":
			v := &types.AttributeValueMemberM{}
			read(inner, reflect.ValueOf(&v.Value).Elem())
			return v
		}
	}
	return nil
}

func read(text json.RawMessage, into reflect.Value) {
	switch {
	case into.Type() == attributeValue:
		into.Set(reflect.ValueOf(readValue(text)))
	case into.Kind() == reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		read(text, into.Elem())
	case into.Kind() == reflect.Struct:
		var members map[string]json.RawMessage
		check(json.Unmarshal(text, &members))
		for name, inner := range members {
			read(inner, into.FieldByName(name))
		}
	case into.Kind() == reflect.Map:
		var members map[string]json.RawMessage
		check(json.Unmarshal(text, &members))
		into.Set(reflect.MakeMap(into.Type()))
		for name, inner := range members {
			value := reflect.New(into.Type().Elem()).Elem()
			read(inner, value)
			into.SetMapIndex(reflect.ValueOf(name), value)
		}
	case into.Kind() == reflect.Slice && into.Type().Elem().Kind() != reflect.Uint8:
		var elements []json.RawMessage
		check(json.Unmarshal(text, &elements))
		into.Set(reflect.MakeSlice(into.Type(), len(elements), len(elements)))
		for i, inner := range elements {
			read(inner, into.Index(i))
		}
	default:
		check(json.Unmarshal(text, into.Addr().Interface()))
	}
}

// --- and back ---

func writeValue(value types.AttributeValue) any {
	switch v := value.(type) {
	case *types.AttributeValueMemberL:
		return map[string]any{"L": write(reflect.ValueOf(v.Value), true)}
	case *types.AttributeValueMemberM:
		return map[string]any{"M": write(reflect.ValueOf(v.Value), true)}
	default:
		name := reflect.TypeOf(value).Elem().Name()
		return map[string]any{strings.TrimPrefix(name, "AttributeValueMember"): reflect.ValueOf(value).Elem().FieldByName("Value").Interface()}
	}
}

// nil for what is not there; empty collections stay when keep is set
func write(from reflect.Value, keep bool) any {
	switch {
	case !from.IsValid():
		return nil
	case from.Type() == attributeValue:
		if from.IsNil() {
			return nil
		}
		return writeValue(from.Interface().(types.AttributeValue))
	case from.Kind() == reflect.Pointer:
		if from.IsNil() {
			return nil
		}
		return write(from.Elem(), keep)
	case from.Kind() == reflect.Struct:
		members := map[string]any{}
		for i := 0; i < from.NumField(); i++ {
			name := from.Type().Field(i).Name
			if !from.Type().Field(i).IsExported() || name == "ResultMetadata" {
				continue
			}
			if value := write(from.Field(i), false); value != nil {
				members[name] = value
			}
		}
		return members
	case from.Kind() == reflect.Map:
		if from.IsNil() && !keep {
			return nil
		}
		members := map[string]any{}
		for _, key := range from.MapKeys() {
			members[key.String()] = write(from.MapIndex(key), true)
		}
		return members
	case from.Kind() == reflect.Slice && from.Type().Elem().Kind() != reflect.Uint8:
		if from.IsNil() && !keep {
			return nil
		}
		elements := []any{}
		for i := 0; i < from.Len(); i++ {
			elements = append(elements, write(from.Index(i), true))
		}
		return elements
	default:
		return from.Interface()
	}
}

// --- calls ---

func call(client *dax.Dax, op string, params json.RawMessage) (any, error) {
	method := reflect.ValueOf(client).MethodByName(strings.ToUpper(op[:1]) + op[1:])
	if !method.IsValid() {
		return nil, fmt.Errorf("no operation %s", op)
	}
	in := reflect.New(method.Type().In(1).Elem())
	read(params, in.Elem())
	out := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
	if err, _ := out[1].Interface().(error); err != nil {
		return nil, err
	}
	return write(out[0], false), nil
}

func describe(err error) map[string]any {
	about := map[string]any{"message": err.Error()}
	var failed smithy.APIError
	if errors.As(err, &failed) {
		about["code"], about["message"] = failed.ErrorCode(), failed.ErrorMessage()
	}
	var canceled *types.TransactionCanceledException
	if errors.As(err, &canceled) {
		about["reasons"] = write(reflect.ValueOf(canceled.CancellationReasons), true)
	}
	return about
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func main() {
	config := dax.DefaultConfig()
	config.HostPorts = []string{os.Args[1]}
	config.Region = os.Args[2]
	config.WriteRetries, config.ReadRetries = 1, 1
	if ms, err := strconv.Atoi(os.Getenv("DAX_REFRESH_MS")); err == nil { // how often it looks for the nodes
		config.ClusterUpdateInterval = time.Duration(ms) * time.Millisecond
	}
	config.Credentials = credentials.NewStaticCredentialsProvider(
		env("DAX_ACCESS_KEY", "test"), env("DAX_SECRET_KEY", "test"), os.Getenv("DAX_SESSION_TOKEN"))
	if strings.HasPrefix(os.Args[1], "daxs://") { // a certificate made for the test
		config.SkipHostnameVerification = true
		dialer := tls.Dialer{NetDialer: &net.Dialer{}, Config: &tls.Config{InsecureSkipVerify: true}}
		config.DialContext = dialer.DialContext
	}
	client, err := dax.New(config)
	check(err)
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
		check(json.Unmarshal(lines.Bytes(), &r))
		slots <- struct{}{}
		all.Add(1)
		go func() {
			defer func() { <-slots; all.Done() }()
			answer := map[string]any{"id": r.ID}
			result, err := call(client, r.Op, r.Params)
			if err != nil {
				answer["error"] = describe(err)
			} else {
				answer["result"] = result
			}
			text, err := json.Marshal(answer)
			check(err)
			writing.Lock()
			fmt.Println(string(text))
			writing.Unlock()
		}()
	}
	all.Wait()
}
