/* @ts-self-types="./stator_tokens.d.ts" */

/**
 * A prompt's tokens and the hashes of its blocks.
 */
export class BlockHasher {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        BlockHasherFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_blockhasher_free(ptr, 0);
    }
    /**
     * Hashes the blocks of the first `n` ids, with the first `objects` (block, hash) pairs. Returns the number of blocks.
     * @param {number} n
     * @param {number} block_size
     * @param {bigint} seed
     * @param {boolean} eagle
     * @param {number} objects
     * @returns {number}
     */
    hash(n, block_size, seed, eagle, objects) {
        const ret = wasm.blockhasher_hash(this.__wbg_ptr, n, block_size, seed, eagle, objects);
        return ret >>> 0;
    }
    /**
     * KVBM's framed block hashes, with the first `runs` (offset, length, hash) triples. Returns the number of blocks.
     * @param {number} n
     * @param {number} block_size
     * @param {bigint} seed
     * @param {number} runs
     * @returns {number}
     */
    hash_framed(n, block_size, seed, runs) {
        const ret = wasm.blockhasher_hash_framed(this.__wbg_ptr, n, block_size, seed, runs);
        return ret >>> 0;
    }
    /**
     * Byte offset of the local hashes (u64).
     * @returns {number}
     */
    hashes() {
        const ret = wasm.blockhasher_hashes(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Byte offset of the token ids (u32).
     * @returns {number}
     */
    ids() {
        const ret = wasm.blockhasher_ids(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Byte offset of room for `n` token ids (u32).
     * @param {number} n
     * @returns {number}
     */
    ids_input(n) {
        const ret = wasm.blockhasher_ids_input(this.__wbg_ptr, n);
        return ret >>> 0;
    }
    /**
     * Returns the byte offset of the positional lineage hashes (16 bytes each, big-endian); all zero past 2^24 blocks.
     * @returns {number}
     */
    lineages() {
        const ret = wasm.blockhasher_lineages(this.__wbg_ptr);
        return ret >>> 0;
    }
    constructor() {
        const ret = wasm.blockhasher_new();
        this.__wbg_ptr = ret;
        BlockHasherFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Byte offset of room for `n` u64 words: (block, hash) pairs of multimodal objects, or (offset, length, hash) runs.
     * @param {number} n
     * @returns {number}
     */
    objects_input(n) {
        const ret = wasm.blockhasher_objects_input(this.__wbg_ptr, n);
        return ret >>> 0;
    }
    /**
     * Chains the local hashes. Returns the byte offset of the sequence hashes (u64).
     * @returns {number}
     */
    sequences() {
        const ret = wasm.blockhasher_sequences(this.__wbg_ptr);
        return ret >>> 0;
    }
}
if (Symbol.dispose) BlockHasher.prototype[Symbol.dispose] = BlockHasher.prototype.free;

/**
 * A tokenizer.json and the buffers of one prompt at a time.
 */
export class Tokenizer {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        TokenizerFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_tokenizer_free(ptr, 0);
    }
    /**
     * The number of complete blocks of the last prompt.
     * @returns {number}
     */
    blocks() {
        const ret = wasm.tokenizer_blocks(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * The same for a text with guards, see tokenizer.rs; `guard` is a code point.
     * @param {number} n
     * @param {number} guard
     * @param {boolean} add_special
     * @param {number} block_size
     * @param {bigint} seed
     * @param {boolean} eagle
     * @returns {number}
     */
    encode_guarded(n, guard, add_special, block_size, seed, eagle) {
        const ret = wasm.tokenizer_encode_guarded(this.__wbg_ptr, n, guard, add_special, block_size, seed, eagle);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] >>> 0;
    }
    /**
     * Encodes the first `n` bytes and hashes the blocks. Returns the number of tokens.
     * @param {number} n
     * @param {boolean} add_special
     * @param {number} block_size
     * @param {bigint} seed
     * @param {boolean} eagle
     * @returns {number}
     */
    encode_hash(n, add_special, block_size, seed, eagle) {
        const ret = wasm.tokenizer_encode_hash(this.__wbg_ptr, n, add_special, block_size, seed, eagle);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return ret[0] >>> 0;
    }
    /**
     * @param {number} n
     * @param {number} block_size
     * @param {bigint} seed
     * @param {boolean} eagle
     * @param {number} objects
     * @returns {number}
     */
    hash(n, block_size, seed, eagle, objects) {
        const ret = wasm.tokenizer_hash(this.__wbg_ptr, n, block_size, seed, eagle, objects);
        return ret >>> 0;
    }
    /**
     * @returns {number}
     */
    hashes() {
        const ret = wasm.tokenizer_hashes(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * @returns {number}
     */
    ids() {
        const ret = wasm.tokenizer_ids(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * @param {number} n
     * @returns {number}
     */
    ids_input(n) {
        const ret = wasm.tokenizer_ids_input(this.__wbg_ptr, n);
        return ret >>> 0;
    }
    /**
     * @param {number} id
     * @returns {boolean}
     */
    is_special(id) {
        const ret = wasm.tokenizer_is_special(this.__wbg_ptr, id);
        return ret !== 0;
    }
    /**
     * Reads the text of a tokenizer.json (version 1.0 or 2.0). Throws when it is broken or of an unsupported kind.
     * @param {string} json
     */
    constructor(json) {
        const ptr0 = passStringToWasm0(json, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.tokenizer_new(ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        this.__wbg_ptr = ret[0];
        TokenizerFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * @param {number} n
     * @returns {number}
     */
    objects_input(n) {
        const ret = wasm.tokenizer_objects_input(this.__wbg_ptr, n);
        return ret >>> 0;
    }
    /**
     * @returns {number}
     */
    sequences() {
        const ret = wasm.tokenizer_sequences(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * @returns {Uint32Array}
     */
    special_ids() {
        const ret = wasm.tokenizer_special_ids(this.__wbg_ptr);
        var v1 = getArrayU32FromWasm0(ret[0], ret[1]).slice();
        wasm.__wbindgen_free(ret[0], ret[1] * 4, 4);
        return v1;
    }
    /**
     * @returns {string[]}
     */
    special_tokens() {
        const ret = wasm.tokenizer_special_tokens(this.__wbg_ptr);
        var v1 = getArrayJsValueFromWasm0(ret[0], ret[1]);
        wasm.__wbindgen_free(ret[0], ret[1] * 4, 4);
        return v1;
    }
    /**
     * @returns {boolean}
     */
    strips_first_space() {
        const ret = wasm.tokenizer_strips_first_space(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Byte offset of room for `n` bytes of UTF-8.
     * @param {number} n
     * @returns {number}
     */
    text_input(n) {
        const ret = wasm.tokenizer_text_input(this.__wbg_ptr, n);
        return ret >>> 0;
    }
    /**
     * The raw bytes that a token stands for; undefined for an id without a token.
     * @param {number} id
     * @returns {Uint8Array | undefined}
     */
    token_bytes(id) {
        const ret = wasm.tokenizer_token_bytes(this.__wbg_ptr, id);
        let v1;
        if (ret[0] !== 0) {
            v1 = getArrayU8FromWasm0(ret[0], ret[1]).slice();
            wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        }
        return v1;
    }
    /**
     * The id of an added token (control tokens among them) by its content.
     * @param {string} content
     * @returns {number | undefined}
     */
    token_id(content) {
        const ptr0 = passStringToWasm0(content, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.tokenizer_token_id(this.__wbg_ptr, ptr0, len0);
        return ret === Number.MAX_SAFE_INTEGER ? undefined : ret;
    }
    /**
     * All tokens' bytes: u32 count, count + 1 u32 offsets into the bytes that follow.
     * @returns {Uint8Array}
     */
    token_table() {
        const ret = wasm.tokenizer_token_table(this.__wbg_ptr);
        var v1 = getArrayU8FromWasm0(ret[0], ret[1]).slice();
        wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        return v1;
    }
    /**
     * @returns {number}
     */
    vocab_size() {
        const ret = wasm.tokenizer_vocab_size(this.__wbg_ptr);
        return ret >>> 0;
    }
}
if (Symbol.dispose) Tokenizer.prototype[Symbol.dispose] = Tokenizer.prototype.free;

/**
 * The hash of a multimodal object's identifier; undefined for an empty one.
 * @param {string} identifier
 * @returns {bigint | undefined}
 */
export function object_hash(identifier) {
    const ptr0 = passStringToWasm0(identifier, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
    const len0 = WASM_VECTOR_LEN;
    const ret = wasm.object_hash(ptr0, len0);
    return ret[0] === 0 ? undefined : BigInt.asUintN(64, ret[1]);
}

/**
 * The seed of semantics §2.1; empty strings mean none.
 * @param {string} lora
 * @param {string} namespace
 * @returns {bigint}
 */
export function seed(lora, namespace) {
    let ptr0, len0, ptr1, len1;
    try {
        ptr0 = passStringToWasm0(lora, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        len0 = WASM_VECTOR_LEN;
        ptr1 = passStringToWasm0(namespace, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        len1 = WASM_VECTOR_LEN;
    } catch (e) {
        if (ptr1) { wasm.__wbindgen_free(ptr1, len1 * 1, 1); }
        if (ptr0) { wasm.__wbindgen_free(ptr0, len0 * 1, 1); }
        throw e;
    }
    const ret = wasm.seed(ptr0, len0, ptr1, len1);
    return BigInt.asUintN(64, ret);
}

/**
 * XXH3-64 of a byte string.
 * @param {Uint8Array | number[]} bytes
 * @param {bigint} seed
 * @returns {bigint}
 */
export function xxh3(bytes, seed) {
    const val2 = BigInt.asIntN(64, seed);
    const ptr0 = passArray8ToWasm0(bytes, wasm.__wbindgen_malloc);
    const len0 = WASM_VECTOR_LEN;
    const ret = wasm.xxh3(ptr0, len0, val2);
    return BigInt.asUintN(64, ret);
}
function __wbg_get_imports() {
    const import0 = {
        __proto__: null,
        __wbg_Error_208446807d0d1e30: function(arg0, arg1) {
            const ret = Error(getStringFromWasm0(arg0, arg1));
            return ret;
        },
        __wbg___wbindgen_throw_4c88d8bf264fd984: function(arg0, arg1) {
            throw new Error(getStringFromWasm0(arg0, arg1));
        },
        __wbg_getRandomValues_5d8c030b527203a6: function() { return handleError(function (arg0, arg1) {
            globalThis.crypto.getRandomValues(getArrayU8FromWasm0(arg0, arg1));
        }, arguments); },
        __wbindgen_generic_0000000000000001: function(arg0, arg1) {
            // Cast intrinsic for `Ref(String) -> Externref`.
            const ret = getStringFromWasm0(arg0, arg1);
            return ret;
        },
        __wbindgen_init_externref_table: function() {
            const table = wasm.__wbindgen_externrefs;
            table.set(0, undefined);
            table.set(1024, undefined);
            table.set(1025, null);
            table.set(1026, true);
            table.set(1027, false);
        },
    };
    return {
        __proto__: null,
        "./stator_tokens_bg.js": import0,
    };
}

const BlockHasherFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_blockhasher_free(ptr, 1));
const TokenizerFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_tokenizer_free(ptr, 1));

function addToExternrefTable0(obj) {
    const idx = wasm.__externref_table_alloc();
    wasm.__wbindgen_externrefs.set(idx, obj);
    return idx;
}

function getArrayJsValueFromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    const mem = getDataViewMemory0();
    const result = [];
    for (let i = ptr; i < ptr + 4 * len; i += 4) {
        result.push(wasm.__wbindgen_externrefs.get(mem.getUint32(i, true)));
    }
    wasm.__externref_drop_slice(ptr, len);
    return result;
}

function getArrayU32FromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return getUint32ArrayMemory0().subarray(ptr / 4, ptr / 4 + len);
}

function getArrayU8FromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return getUint8ArrayMemory0().subarray(ptr / 1, ptr / 1 + len);
}

let cachedDataViewMemory0 = null;
function getDataViewMemory0() {
    if (cachedDataViewMemory0 === null || cachedDataViewMemory0.buffer.detached === true || (cachedDataViewMemory0.buffer.detached === undefined && cachedDataViewMemory0.buffer !== wasm.memory.buffer)) {
        cachedDataViewMemory0 = new DataView(wasm.memory.buffer);
    }
    return cachedDataViewMemory0;
}

function getStringFromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return decodeText(getUint8ArrayMemory0().subarray(ptr, ptr + len));
}

let cachedUint32ArrayMemory0 = null;
function getUint32ArrayMemory0() {
    if (cachedUint32ArrayMemory0 === null || cachedUint32ArrayMemory0.byteLength === 0) {
        cachedUint32ArrayMemory0 = new Uint32Array(wasm.memory.buffer);
    }
    return cachedUint32ArrayMemory0;
}

let cachedUint8ArrayMemory0 = null;
function getUint8ArrayMemory0() {
    if (cachedUint8ArrayMemory0 === null || cachedUint8ArrayMemory0.byteLength === 0) {
        cachedUint8ArrayMemory0 = new Uint8Array(wasm.memory.buffer);
    }
    return cachedUint8ArrayMemory0;
}

function handleError(f, args) {
    try {
        return f.apply(this, args);
    } catch (e) {
        const idx = addToExternrefTable0(e);
        wasm.__wbindgen_exn_store(idx);
    }
}

function passArray8ToWasm0(arg, malloc) {
    const ptr = malloc(arg.length * 1, 1) >>> 0;
    getUint8ArrayMemory0().set(arg, ptr / 1);
    WASM_VECTOR_LEN = arg.length;
    return ptr;
}

function passStringToWasm0(arg, malloc, realloc) {
    if (realloc === undefined) {
        const buf = cachedTextEncoder.encode(arg);
        const ptr = malloc(buf.length, 1) >>> 0;
        getUint8ArrayMemory0().subarray(ptr, ptr + buf.length).set(buf);
        WASM_VECTOR_LEN = buf.length;
        return ptr;
    }

    let len = arg.length;
    let ptr = malloc(len, 1) >>> 0;

    const mem = getUint8ArrayMemory0();

    let offset = 0;

    for (; offset < len; offset++) {
        const code = arg.charCodeAt(offset);
        if (code > 0x7F) break;
        mem[ptr + offset] = code;
    }
    if (offset !== len) {
        if (offset !== 0) {
            arg = arg.slice(offset);
        }
        ptr = realloc(ptr, len, len = offset + arg.length * 3, 1) >>> 0;
        const view = getUint8ArrayMemory0().subarray(ptr + offset, ptr + len);
        const ret = cachedTextEncoder.encodeInto(arg, view);

        offset += ret.written;
        ptr = realloc(ptr, len, offset, 1) >>> 0;
    }

    WASM_VECTOR_LEN = offset;
    return ptr;
}

function takeFromExternrefTable0(idx) {
    const value = wasm.__wbindgen_externrefs.get(idx);
    wasm.__externref_table_dealloc(idx);
    return value;
}

let cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
cachedTextDecoder.decode();
const MAX_SAFARI_DECODE_BYTES = 2146435072;
let numBytesDecoded = 0;
function decodeText(bytes) {
    numBytesDecoded += bytes.length;
    if (numBytesDecoded >= MAX_SAFARI_DECODE_BYTES) {
        cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
        cachedTextDecoder.decode();
        numBytesDecoded = bytes.length;
    }
    return cachedTextDecoder.decode(bytes);
}

const cachedTextEncoder = new TextEncoder();

if (!('encodeInto' in cachedTextEncoder)) {
    cachedTextEncoder.encodeInto = function (arg, view) {
        const buf = cachedTextEncoder.encode(arg);
        view.set(buf);
        return {
            read: arg.length,
            written: buf.length
        };
    };
}

let WASM_VECTOR_LEN = 0;

let wasmModule, wasmInstance, wasm;
function __wbg_finalize_init(instance, module) {
    wasmInstance = instance;
    wasm = instance.exports;
    wasmModule = module;
    cachedDataViewMemory0 = null;
    cachedUint32ArrayMemory0 = null;
    cachedUint8ArrayMemory0 = null;
    wasm.__wbindgen_start();
    return wasm;
}

async function __wbg_load(module, imports) {
    if (typeof Response === 'function' && module instanceof Response) {
        if (!module.ok) {
            throw new Error(`failed to fetch Wasm: ${module.status} ${module.statusText} fetching '${module.url}'`);
        }

        if (typeof WebAssembly.instantiateStreaming === 'function') {
            try {
                return await WebAssembly.instantiateStreaming(module, imports);
            } catch (e) {
                const validResponse = expectedResponseType(module.type);

                if (validResponse && module.headers.get('Content-Type') !== 'application/wasm') {
                    console.warn("`WebAssembly.instantiateStreaming` failed because your server does not serve Wasm with `application/wasm` MIME type. Falling back to `WebAssembly.instantiate` which is slower. Original error:\n", e);

                } else { throw e; }
            }
        }

        const bytes = await module.arrayBuffer();
        return await WebAssembly.instantiate(bytes, imports);
    } else {
        const instance = await WebAssembly.instantiate(module, imports);

        if (instance instanceof WebAssembly.Instance) {
            return { instance, module };
        } else {
            return instance;
        }
    }

    function expectedResponseType(type) {
        switch (type) {
            case 'basic': case 'cors': case 'default': return true;
        }
        return false;
    }
}

function initSync(module) {
    if (wasm !== undefined) return wasm;


    if (module !== undefined) {
        if (Object.getPrototypeOf(module) === Object.prototype) {
            ({module} = module)
        } else {
            console.warn('using deprecated parameters for `initSync()`; pass a single object instead')
        }
    }

    const imports = __wbg_get_imports();
    if (!(module instanceof WebAssembly.Module)) {
        module = new WebAssembly.Module(module);
    }
    const instance = new WebAssembly.Instance(module, imports);
    return __wbg_finalize_init(instance, module);
}

let __wbg_init_promise;
async function __wbg_init(module_or_path) {
    if (wasm !== undefined) return wasm;
    if (__wbg_init_promise === undefined) {
        __wbg_init_promise = __wbg_init_once(module_or_path);
        __wbg_init_promise.catch(() => { __wbg_init_promise = undefined; });
    }
    return __wbg_init_promise;
}

async function __wbg_init_once(module_or_path) {

    if (module_or_path !== undefined) {
        if (Object.getPrototypeOf(module_or_path) === Object.prototype) {
            ({module_or_path} = module_or_path)
        } else {
            console.warn('using deprecated parameters for the initialization function; pass a single object instead')
        }
    }

    if (module_or_path === undefined) {
        module_or_path = new URL('stator_tokens_bg.wasm', import.meta.url);
    }
    const imports = __wbg_get_imports();

    if (typeof module_or_path === 'string' || (typeof Request === 'function' && module_or_path instanceof Request) || (typeof URL === 'function' && module_or_path instanceof URL)) {
        module_or_path = fetch(module_or_path);
    }

    const { instance, module } = await __wbg_load(await module_or_path, imports);

    return __wbg_finalize_init(instance, module);
}

export { initSync, __wbg_init as default };
