#include "codec/json.h"
#include "dax/dax_int.h"

enum form { FORM_NONE, FORM_STRING, FORM_INTEGER, FORM_BOOLEAN, FORM_REPEATED };

#define REPEATED (1u << OPTION_NAMES | 1u << OPTION_VALUES)

static const struct {
	uint8_t form;
	const char *name;
} known[OPTION_COUNT] = {
    [OPTION_PROJECTION] = {FORM_STRING, "ProjectionExpression"},
    /* the Python client sends them beside the compiled expressions, which hold both already */
    [OPTION_NAMES] = {FORM_REPEATED, "ExpressionAttributeNames"},
    [OPTION_VALUES] = {FORM_REPEATED, "ExpressionAttributeValues"},
    [OPTION_CONSISTENT] = {FORM_BOOLEAN, "ConsistentRead"},
    [OPTION_CAPACITY] = {FORM_INTEGER, "ReturnConsumedCapacity"},
    [OPTION_CONDITION] = {FORM_STRING, "ConditionExpression"},
    [OPTION_METRICS] = {FORM_INTEGER, "ReturnItemCollectionMetrics"},
    [OPTION_RETURN_VALUES] = {FORM_INTEGER, "ReturnValues"},
    [OPTION_UPDATE] = {FORM_STRING, "UpdateExpression"},
    [OPTION_START_KEY] = {FORM_STRING, "ExclusiveStartKey"},
    [OPTION_FILTER] = {FORM_STRING, "FilterExpression"},
    [OPTION_INDEX] = {FORM_STRING, "IndexName"},
    [OPTION_LIMIT] = {FORM_INTEGER, "Limit"},
    [OPTION_FORWARD] = {FORM_BOOLEAN, "ScanIndexForward"},
    [OPTION_SELECT] = {FORM_INTEGER, "Select"},
    [OPTION_SEGMENT] = {FORM_INTEGER, "Segment"},
    [OPTION_TOTAL_SEGMENTS] = {FORM_INTEGER, "TotalSegments"},
    [OPTION_TOKEN] = {FORM_STRING, "ClientRequestToken"},
};

/* Of enumerations: the names, by value. */
static const char *const capacities[] = {"NONE", "TOTAL", "INDEXES"};
static const char *const metrics[] = {"NONE", "SIZE"};
static const char *const returns[] = {NULL, "NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"};
static const char *const selects[] = {NULL, "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "COUNT",
				      "SPECIFIC_ATTRIBUTES"};
#define COUNT(array) (int)(sizeof(array) / sizeof *(array))
static const struct {
	uint8_t option;
	int count;
	const char *const *names;
} enums[] = {
    {OPTION_CAPACITY, COUNT(capacities), capacities},
    {OPTION_METRICS, COUNT(metrics), metrics},
    {OPTION_RETURN_VALUES, COUNT(returns), returns},
    {OPTION_SELECT, COUNT(selects), selects},
};

static enum status
read_one(struct cbor_reader *r, uint32_t allowed, struct options *o, struct err *err)
{
	int64_t key = cbor_int(r);

	if (cbor_failed(r))
		return S_OK; /* told by the caller */
	if (key < 0 || key >= OPTION_COUNT || ((allowed | REPEATED) >> key & 1) == 0)
		return err_set(err, S_VALIDATION, "Unknown option in a DAX request: %lld", (long long)key);
	if (cbor_take_null(r))
		return S_OK; /* as when it is not there */
	o->given |= 1u << key;
	switch (known[key].form) { /* given twice, as the Python client does, the last one counts */
	case FORM_REPEATED:
		cbor_skip(r);
		break;
	case FORM_STRING:
		o->strings[key] = cbor_peek(r) == CBOR_BYTES ? cbor_bytes(r) : cbor_text(r);
		break;
	case FORM_BOOLEAN:
		o->numbers[key] = cbor_bool(r);
		break;
	default:
		o->numbers[key] = cbor_int(r);
		break;
	}
	return S_OK;
}

static enum status
check_enums(const struct options *o, struct err *err)
{
	for (int i = 0; i < COUNT(enums); i++) {
		int64_t value = o->numbers[enums[i].option];

		if (!option_given(o, enums[i].option))
			continue;
		if (value < 0 || value >= enums[i].count || enums[i].names[value] == NULL)
			return err_set(err, S_VALIDATION, "%s has no value %lld", known[enums[i].option].name,
				       (long long)value);
	}
	return S_OK;
}

enum status
dax_options_read(struct cbor_reader *r, uint32_t allowed, struct options *ret, struct err *err)
{
	struct cbor_items items;
	enum status s = S_OK;

	memset(ret, 0, sizeof *ret);
	if (cbor_take_null(r))
		return S_OK;
	items = cbor_map(r);
	while (s == S_OK && cbor_next(r, &items))
		s = read_one(r, allowed, ret, err);
	if (s == S_OK && cbor_failed(r))
		s = err_set(err, S_VALIDATION, "Malformed options: %s", r->failure);
	return s == S_OK ? check_enums(ret, err) : s;
}

void
dax_options_write(const struct options *o, struct buf *out)
{
	for (int i = 0; i < COUNT(enums); i++)
		if (option_given(o, enums[i].option))
			buf_printf(out, ",\"%s\":\"%s\"", known[enums[i].option].name,
				   enums[i].names[o->numbers[enums[i].option]]);
	for (int i = 0; i < OPTION_COUNT; i++) {
		if (!option_given(o, (enum option)i))
			continue;
		if (known[i].form == FORM_BOOLEAN)
			buf_printf(out, ",\"%s\":%s", known[i].name, o->numbers[i] ? "true" : "false");
		else if (i == OPTION_LIMIT || i == OPTION_SEGMENT || i == OPTION_TOTAL_SEGMENTS)
			buf_printf(out, ",\"%s\":%lld", known[i].name, (long long)o->numbers[i]);
	}
	if (option_given(o, OPTION_INDEX)) {
		buf_put_lit(out, ",\"IndexName\":");
		json_put_string(out, o->strings[OPTION_INDEX]);
	}
	if (option_given(o, OPTION_TOKEN)) {
		buf_put_lit(out, ",\"ClientRequestToken\":");
		json_put_string(out, o->strings[OPTION_TOKEN]);
	}
}
