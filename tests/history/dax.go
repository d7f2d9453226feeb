package main

import (
	"bufio"
	"crypto/sha256"
	endian "encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// A daxClient speaks the protocol of DAX (docs/formats/dax.md) over one connection, as far as registers need it. It sends nothing
// twice, which the clients of Amazon do: what is unknown must stay unknown.
type daxClient struct {
	*client // names and keys
	address string
	conn    net.Conn
	in      *bufio.Reader
	list    int64 // the attribute list of "v"; 0: not asked for yet
}

// Methods, options and codes of the protocol.
const (
	daxGet           = 263244906
	daxPut           = -2106490455
	daxUpdate        = 1425579023
	daxDelete        = 1013539361
	daxQuery         = -931250863
	daxBatchGet      = -697851100
	daxBatchWrite    = 116217951
	daxTransactGet   = 1866287579
	daxTransactWrite = -1160037738
	daxAuthorize     = 1489122155
	daxDefineList    = -1230579644

	daxConsistent   = 2
	daxCondition    = 4
	daxReturnValues = 7
	daxUpdateText   = 8
	daxToken        = 19

	daxTypeDelete = 7 // of an action in a transaction
	daxTypePut    = 2
	daxTypeUpdate = 9
	daxTypeCheck  = 12
)

// ---- CBOR ----

type list = []interface{}

type options map[int64]interface{}

func cborHead(out []byte, major byte, value uint64) []byte {
	switch {
	case value < 24:
		return append(out, major<<5|byte(value))
	case value < 1<<8:
		return append(out, major<<5|24, byte(value))
	case value < 1<<16:
		return append(out, major<<5|25, byte(value>>8), byte(value))
	case value < 1<<32:
		return append(out, major<<5|26, byte(value>>24), byte(value>>16), byte(value>>8), byte(value))
	}
	var all [8]byte
	endian.BigEndian.PutUint64(all[:], value)
	return append(append(out, major<<5|27), all[:]...)
}

// cbor appends a value: nil, bool, int, int64, string, []byte, list, options, or an object with text keys.
func cbor(out []byte, value interface{}) []byte {
	switch v := value.(type) {
	case nil:
		return append(out, 0xf6)
	case bool:
		if v {
			return append(out, 0xf5)
		}
		return append(out, 0xf4)
	case int:
		return cbor(out, int64(v))
	case int64:
		if v < 0 {
			return cborHead(out, 1, uint64(-1-v))
		}
		return cborHead(out, 0, uint64(v))
	case string:
		return append(cborHead(out, 3, uint64(len(v))), v...)
	case []byte:
		return append(cborHead(out, 2, uint64(len(v))), v...)
	case list:
		out = cborHead(out, 4, uint64(len(v)))
		for _, element := range v {
			out = cbor(out, element)
		}
		return out
	case options:
		out = cborHead(out, 5, uint64(len(v)))
		for key, element := range v {
			out = cbor(cbor(out, key), element)
		}
		return out
	case object:
		out = cborHead(out, 5, uint64(len(v)))
		for key, element := range v {
			out = cbor(cbor(out, key), element)
		}
		return out
	}
	panic(fmt.Sprintf("no CBOR of %T", value))
}

// readCbor takes one value: int64, []byte, string, list, or a map with any of these as keys ([]byte ones as string).
func readCbor(in *bufio.Reader) (interface{}, error) {
	first, err := in.ReadByte()
	if err != nil {
		return nil, err
	}
	major, value := first>>5, uint64(first&31)
	if major == 7 {
		switch first {
		case 0xf4, 0xf5:
			return first == 0xf5, nil
		case 0xf6:
			return nil, nil
		}
		return nil, fmt.Errorf("unexpected CBOR %x", first)
	}
	if value >= 24 {
		if value > 27 {
			return nil, fmt.Errorf("unexpected CBOR %x", first)
		}
		var bytes [8]byte
		n := 1 << (value - 24)
		if _, err := io.ReadFull(in, bytes[8-n:]); err != nil {
			return nil, err
		}
		value = endian.BigEndian.Uint64(bytes[:])
	}
	switch major {
	case 0:
		return int64(value), nil
	case 1:
		return -1 - int64(value), nil
	case 2, 3:
		data := make([]byte, value)
		_, err := io.ReadFull(in, data)
		if major == 3 {
			return string(data), err
		}
		return data, err
	case 4:
		elements := list{}
		for ; value > 0; value-- {
			element, err := readCbor(in)
			if err != nil {
				return nil, err
			}
			elements = append(elements, element)
		}
		return elements, nil
	case 5:
		pairs := map[interface{}]interface{}{}
		for ; value > 0; value-- {
			key, err := readCbor(in)
			if err != nil {
				return nil, err
			}
			if bytes, ok := key.([]byte); ok {
				key = string(bytes)
			}
			if pairs[key], err = readCbor(in); err != nil {
				return nil, err
			}
		}
		return pairs, nil
	}
	return readCbor(in) // behind a tag
}

// ---- the connection ----

func (d *daxClient) close() {
	if d.conn != nil {
		d.conn.Close()
		d.conn = nil
	}
}

// isGone: the other end has closed it, so that a request need not be sent to find out, and be unknown.
func isGone(conn net.Conn) (gone bool) {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = err != syscall.EAGAIN || n > 0
		return true
	})
	return gone || err != nil
}

// open connects when there is no connection. The authorization is of the right form; the server lets any in.
func (d *daxClient) open() error {
	if d.conn != nil && isGone(d.conn) {
		d.close()
	}
	if d.conn != nil {
		return nil
	}
	conn, err := net.DialTimeout("tcp", d.address, 20*time.Second)
	if err != nil {
		return errNotDone
	}
	d.conn, d.in = conn, bufio.NewReader(conn)
	at := time.Now().UTC().Format("20060102T150405Z")
	hash := sha256.Sum256(nil)
	text := "AWS4-HMAC-SHA256\n" + at + "\n" + at[:8] + "/us-east-1/dax/aws4_request\n" + hex.EncodeToString(hash[:])
	out := cbor(cbor(cbor(nil, "J7yne5G"), 0), nil)
	out = cbor(cbor(out, object{"UserAgent": "history"}), 0)
	for _, argument := range []interface{}{1, daxAuthorize, "test", strings.Repeat("0", 64), []byte(text), nil, nil} {
		out = cbor(out, argument)
	}
	if _, err := conn.Write(out); err != nil {
		d.close()
		return errNotDone
	}
	return nil
}

// call sends one request and reads so many results. An error other than errNotDone and errBroken comes as a failure.
func (d *daxClient) call(results int, method int, arguments ...interface{}) (list, *failure, error) {
	if err := d.open(); err != nil {
		return nil, nil, err
	}
	out := cbor(cbor(nil, 1), method)
	for _, argument := range arguments {
		out = cbor(out, argument)
	}
	d.conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := d.conn.Write(out); err != nil {
		d.close()
		return nil, nil, errBroken{err, true}
	}
	codes, err := readCbor(d.in)
	if err != nil {
		d.close()
		return nil, nil, errBroken{err, true}
	}
	failed := len(codes.(list)) > 0
	if failed {
		results = 2
	}
	var found list
	for len(found) < results {
		one, err := readCbor(d.in)
		if err != nil {
			d.close()
			return nil, nil, errBroken{err, false} // it was answered, only the answer is lost
		}
		found = append(found, one)
	}
	if failed {
		f, err := d.failure(codes.(list), found)
		return nil, f, err
	}
	return found, nil, nil
}

func (d *daxClient) failure(codes, found list) (*failure, error) {
	message, _ := found[0].(string)
	details, _ := found[1].(list)
	if codes[0] == int64(1) {
		return nil, errBroken{fmt.Errorf("%v %s", codes, message), false}
	}
	if len(details) < 3 {
		panic(fmt.Sprintf("DAX: %v %s", codes, message))
	}
	name, _ := details[1].(string)
	f := &failure{Type: "#" + name, Message: message}
	if name == "InternalServerError" {
		return nil, errBroken{fmt.Errorf("%v %s", codes, message), false}
	}
	if len(details) > 3 {
		reasons := details[3].(list)
		for i := 0; i+2 < len(reasons); i += 3 {
			code, _ := reasons[i].(string)
			f.Reasons = append(f.Reasons, struct {
				Code string
				Item item
			}{code, d.item(reasons[i+2])})
		}
	}
	if f.passing() {
		return f, errNotDone
	}
	if !f.is("ConditionalCheckFailedException") && !f.is("TransactionCanceledException") {
		panic(fmt.Sprintf("DAX: %v %s %s", codes, name, message))
	}
	return f, nil
}

// ---- items and keys ----

// ready asks for the number of the only attribute list that registers have.
func (d *daxClient) ready() error {
	if d.list != 0 { // it holds for ever, also when the server is another
		return nil
	}
	found, _, err := d.call(1, daxDefineList, list{"v"})
	if err == nil {
		d.list = found[0].(int64)
	} else if _, broken := err.(errBroken); broken {
		err = errNotDone // nothing was written yet
	}
	return err
}

// wireKey is a register's key as it goes over the wire.
func (d *daxClient) wireKey(register int) []byte {
	if tableOf(register) < tableCount-1 {
		return []byte(d.pk(register))
	}
	return append(cbor(nil, d.pk(register)), lexDecimal(register)...)
}

// lexDecimal of one digit from 1 to 9: a head that tells one digit before the point, ten bits of the digits in a group of
// three, ten that end it.
func lexDecimal(digit int) []byte {
	bits := uint32(digit*100+12) << 22
	return []byte{0xc1, byte(bits >> 24), byte(bits >> 16), byte(bits >> 8)}
}

func (d *daxClient) wireItem(value int64) []byte { return cbor(cbor(nil, d.list), value) }

// item of what came: nil, or its attribute list and the value of v; of UPDATED_OLD and UPDATED_NEW the value is in a map.
func (d *daxClient) item(wire interface{}) item {
	data, ok := wire.([]byte)
	if !ok {
		return nil
	}
	in := bufio.NewReader(strings.NewReader(string(data)))
	number, err := readCbor(in)
	if err != nil || number != d.list {
		panic(fmt.Sprintf("an item of the attribute list %v: %x", number, data))
	}
	value, err := readCbor(in)
	if pairs, ok := value.(map[interface{}]interface{}); ok {
		value = pairs[int64(0)]
	}
	v, ok := value.(int64)
	if err != nil || !ok {
		panic(fmt.Sprintf("an item without a number: %x", data))
	}
	return item{"v": {"N": fmt.Sprint(v)}}
}

// condition of an action, compiled; nil: none.
func daxConditionOf(a action) interface{} {
	node, values := list(nil), list{}
	switch {
	case a.cond == condAbsent || (a.cond == condEquals && a.expected == absent):
		node = list{12, list{18, "pk"}}
	case a.cond == condExists:
		node = list{11, list{18, "pk"}}
	case a.cond == condEquals:
		node, values = list{0, list{18, "v"}, list{17, 0}}, list{a.expected}
	default:
		return nil
	}
	return cbor(nil, list{1, node, values})
}

func daxUpdateOf(a action) []byte {
	kind := 19
	if a.kind == actAdd {
		kind = 20
	}
	return cbor(nil, list{1, list{list{kind, list{18, "v"}, list{17, 0}}}, list{a.value}})
}

// ---- reads ----

func (d *daxClient) daxTable(register int) []byte { return []byte(d.table(tableOf(register))) }

func (d *daxClient) get(register int, consistent bool) (answer, error) {
	if err := d.ready(); err != nil {
		return answer{}, err
	}
	asked := options{}
	if consistent {
		asked[daxConsistent] = true
	}
	found, _, err := d.call(1, daxGet, d.daxTable(register), d.wireKey(register), asked)
	if err != nil {
		return answer{}, err
	}
	pairs, _ := found[0].(map[interface{}]interface{})
	return answer{values: []int64{d.item(pairs[int64(0)]).value()}}, nil
}

// byKey deals key and item pairs out to the registers that were asked for.
func (d *daxClient) byKey(reads []int, keys, items list) []answer {
	answers := make([]answer, len(reads))
	for i, register := range reads {
		answers[i].values = []int64{absent}
		for j := range keys {
			if string(keys[j].([]byte)) == string(d.wireKey(register)) {
				answers[i].values[0] = d.item(items[j]).value()
			}
		}
	}
	return answers
}

func (d *daxClient) batchGet(reads []int, consistent bool) ([]answer, error) {
	if err := d.ready(); err != nil {
		return nil, err
	}
	tables := object{}
	for _, register := range reads {
		name := d.table(tableOf(register))
		if tables[name] == nil {
			tables[name] = list{consistent, nil, list{}}
		}
		of := tables[name].(list)
		of[2] = append(of[2].(list), d.wireKey(register))
	}
	found, _, err := d.call(2, daxBatchGet, tables, options{})
	if err != nil {
		return nil, err
	}
	got := found[0].(list)
	if left, _ := got[1].(map[interface{}]interface{}); len(left) > 0 {
		return nil, errNotDone
	}
	var keys, items list
	for _, flat := range got[0].(map[interface{}]interface{}) {
		pairs := flat.(list)
		for i := 0; i+1 < len(pairs); i += 2 {
			keys, items = append(keys, pairs[i]), append(items, pairs[i+1])
		}
	}
	return d.byKey(reads, keys, items), nil
}

// query reads the item collection.
func (d *daxClient) query(reads []int, consistent bool) ([]answer, error) {
	if err := d.ready(); err != nil {
		return nil, err
	}
	asked := options{}
	if consistent {
		asked[daxConsistent] = true
	}
	condition := cbor(nil, list{1, list{0, list{18, "pk"}, list{17, 0}}, list{d.pk(registers - 1)}})
	found, _, err := d.call(1, daxQuery, []byte(d.table(tableCount-1)), condition, asked)
	if err != nil {
		return nil, err
	}
	pairs, _ := found[0].(map[interface{}]interface{})
	rows, _ := pairs[int64(7)].(list)
	var keys, items list
	for _, row := range rows {
		keys, items = append(keys, row.(list)[0]), append(items, row.(list)[1])
	}
	return d.byKey(reads, keys, items), nil
}

// columns are the arrays side by side in which a transaction names tables and keys.
func (d *daxClient) columns(registers []int) (tables, keys list) {
	for _, register := range registers {
		tables, keys = append(tables, d.daxTable(register)), append(keys, d.wireKey(register))
	}
	return tables, keys
}

func (d *daxClient) transactGet(reads []int) (answer, error) {
	if err := d.ready(); err != nil {
		return answer{}, err
	}
	tables, keys := d.columns(reads)
	found, _, err := d.call(1, daxTransactGet, tables, keys, make(list, len(reads)), options{})
	if err != nil {
		return answer{}, err
	}
	var a answer
	for _, wire := range found[0].(list)[0].(list) {
		a.values = append(a.values, d.item(wire).value())
	}
	return a, nil
}

// ---- writes ----

var daxReturns = map[string]int{"NONE": 1, "ALL_OLD": 2, "UPDATED_OLD": 3, "ALL_NEW": 4, "UPDATED_NEW": 5}

func (d *daxClient) write(a action, returns string) (answer, error) {
	if err := d.ready(); err != nil {
		return answer{}, err
	}
	if a.kind != actSet && a.kind != actAdd && returns != "NONE" {
		returns = "ALL_OLD"
	}
	asked := options{daxReturnValues: daxReturns[returns]}
	if condition := daxConditionOf(a); condition != nil {
		asked[daxCondition] = condition
	}
	arguments := list{d.daxTable(a.register), d.wireKey(a.register)}
	method := daxUpdate
	switch a.kind {
	case actPut:
		method, arguments = daxPut, append(arguments, d.wireItem(a.value))
	case actDelete:
		method = daxDelete
	default:
		asked[daxUpdateText] = daxUpdateOf(a)
	}
	found, f, err := d.call(1, method, append(arguments, asked)...)
	if err != nil {
		return answer{}, err
	}
	if f != nil { // the protocol has no way to ask for the item that refused
		return answer{failed: []bool{true}, items: []int64{unsaid}}, nil
	}
	pairs, _ := found[0].(map[interface{}]interface{})
	done := answer{done: true, before: unsaid, after: unsaid}
	switch image := d.item(pairs[int64(2)]).value(); returns {
	case "ALL_OLD", "UPDATED_OLD":
		done.before = image
	case "ALL_NEW", "UPDATED_NEW":
		done.after = image
	}
	return done, nil
}

// batchWrite: puts and deletes; nil in the place of what was left unprocessed.
func (d *daxClient) batchWrite(actions []action) ([]*answer, error) {
	if err := d.ready(); err != nil {
		return nil, err
	}
	tables := object{}
	for _, a := range actions {
		name := d.table(tableOf(a.register))
		if tables[name] == nil {
			tables[name] = list{}
		}
		var values interface{}
		if a.kind == actPut {
			values = d.wireItem(a.value)
		}
		tables[name] = append(tables[name].(list), d.wireKey(a.register), values)
	}
	found, _, err := d.call(3, daxBatchWrite, tables, options{})
	left := map[string]bool{}
	if err == nil {
		unprocessed, _ := found[0].(map[interface{}]interface{})
		for name, flat := range unprocessed {
			for i := 0; i < len(flat.(list)); i += 2 {
				left[fmt.Sprint(name, " ", string(flat.(list)[i].([]byte)))] = true
			}
		}
	}
	answers := make([]*answer, len(actions))
	for i, a := range actions {
		if !left[d.table(tableOf(a.register))+" "+string(d.wireKey(a.register))] {
			answers[i] = &answer{done: true, before: unsaid, after: unsaid}
		}
	}
	return answers, err
}

func (d *daxClient) transactWrite(actions []action, token string) (answer, error) {
	if err := d.ready(); err != nil {
		return answer{}, err
	}
	var codes, values, returns, conditions, updates list
	var of []int
	for _, a := range actions {
		code, value, update := daxTypeUpdate, interface{}(nil), interface{}(nil)
		switch a.kind {
		case actPut:
			code, value = daxTypePut, d.wireItem(a.value)
		case actDelete:
			code = daxTypeDelete
		case actCheck:
			code = daxTypeCheck
		default:
			update = daxUpdateOf(a)
		}
		of = append(of, a.register)
		codes, values, updates = append(codes, code), append(values, value), append(updates, update)
		returns, conditions = append(returns, 2), append(conditions, daxConditionOf(a))
	}
	tables, keys := d.columns(of)
	asked := options{}
	if token != "" {
		asked[daxToken] = token
	}
	_, f, err := d.call(1, daxTransactWrite, codes, tables, keys, values, nil, returns, conditions, updates, asked)
	if err != nil {
		return answer{}, err
	}
	if f == nil {
		return answer{done: true, before: unsaid, after: unsaid}, nil
	}
	a := answer{failed: make([]bool, len(actions)), items: make([]int64, len(actions))}
	for i, reason := range f.Reasons {
		if reason.Code != "None" && reason.Code != "ConditionalCheckFailed" {
			panic("unexpected reason: " + reason.Code)
		}
		a.failed[i] = reason.Code != "None"
		a.items[i] = reason.Item.value()
	}
	return a, nil
}
