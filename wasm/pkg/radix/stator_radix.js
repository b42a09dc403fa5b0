/* @ts-self-types="./stator_radix.d.ts" */

export class ActiveSequences {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        ActiveSequencesFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_activesequences_free(ptr, 0);
    }
    /**
     * @param {number} slot
     * @returns {number}
     */
    active_blocks(slot) {
        const ret = wasm.activesequences_active_blocks(this.__wbg_ptr, slot);
        return ret >>> 0;
    }
    /**
     * Input: local hashes. Returns the number of newly active blocks; 4294967295 when the request is known already.
     * @param {number} request
     * @param {number} slot
     * @param {number} n
     * @param {number} salt
     * @returns {number}
     */
    add(request, slot, n, salt) {
        const ret = wasm.activesequences_add(this.__wbg_ptr, request, slot, n, salt);
        return ret >>> 0;
    }
    /**
     * @param {number} slot
     * @returns {number}
     */
    drop_slot(slot) {
        const ret = wasm.activesequences_drop_slot(this.__wbg_ptr, slot);
        return ret >>> 0;
    }
    /**
     * @param {number} request
     * @returns {boolean}
     */
    free_request(request) {
        const ret = wasm.activesequences_free_request(this.__wbg_ptr, request);
        return ret !== 0;
    }
    /**
     * @param {number} request
     * @param {number} blocks
     * @returns {boolean}
     */
    grow(request, blocks) {
        const ret = wasm.activesequences_grow(this.__wbg_ptr, request, blocks);
        return ret !== 0;
    }
    /**
     * Byte offset of room for `n` words (at most 4,194,304).
     * @param {number} n
     * @returns {number}
     */
    input(n) {
        const ret = wasm.activesequences_input(this.__wbg_ptr, n);
        return ret >>> 0;
    }
    constructor() {
        const ret = wasm.activesequences_new();
        this.__wbg_ptr = ret;
        ActiveSequencesFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Byte offset of the result of the last `potential` (u32 pairs).
     * @returns {number}
     */
    output() {
        const ret = wasm.activesequences_output(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Input: local hashes. Returns the number of (slot, depth) pairs at `output()`.
     * @param {number} n
     * @returns {number}
     */
    potential(n) {
        const ret = wasm.activesequences_potential(this.__wbg_ptr, n);
        return ret >>> 0;
    }
    /**
     * @returns {number}
     */
    requests() {
        const ret = wasm.activesequences_requests(this.__wbg_ptr);
        return ret >>> 0;
    }
}
if (Symbol.dispose) ActiveSequences.prototype[Symbol.dispose] = ActiveSequences.prototype.free;

export class RadixIndex {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        RadixIndexFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_radixindex_free(ptr, 0);
    }
    /**
     * @returns {number}
     */
    blocks() {
        const ret = wasm.radixindex_blocks(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * @returns {number}
     */
    bytes() {
        const ret = wasm.radixindex_bytes(this.__wbg_ptr);
        return ret;
    }
    /**
     * All tiers of a slot.
     * @param {number} slot
     */
    clear(slot) {
        wasm.radixindex_clear(this.__wbg_ptr, slot);
    }
    /**
     * @param {number} slot
     * @param {number} tier
     */
    clear_tier(slot, tier) {
        wasm.radixindex_clear_tier(this.__wbg_ptr, slot, tier);
    }
    /**
     * Writes stores of at most `max_blocks` blocks to `input(0)`, see dump.rs. Returns the number of words.
     * @param {number} slot
     * @param {number} tier
     * @param {number} cursor
     * @param {number} max_blocks
     * @returns {number}
     */
    dump(slot, tier, cursor, max_blocks) {
        const ret = wasm.radixindex_dump(this.__wbg_ptr, slot, tier, cursor, max_blocks);
        return ret >>> 0;
    }
    /**
     * The cursor for the next piece; 4294967295 after the last.
     * @returns {number}
     */
    dump_cursor() {
        const ret = wasm.radixindex_dump_cursor(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * @returns {number}
     */
    evicted() {
        const ret = wasm.radixindex_evicted(this.__wbg_ptr);
        return ret;
    }
    /**
     * Input: tokens hashes of a prompt's blocks. Returns the number of (slot, depth) pairs at `output()`.
     * @param {number} n
     * @returns {number}
     */
    find(n) {
        const ret = wasm.radixindex_find(this.__wbg_ptr, n);
        return ret >>> 0;
    }
    /**
     * Byte offset of room for `n` words (at most 4,194,304).
     * @param {number} n
     * @returns {number}
     */
    input(n) {
        const ret = wasm.radixindex_input(this.__wbg_ptr, n);
        return ret >>> 0;
    }
    /**
     * Input: n words of a dump. Returns the number of blocks accepted.
     * @param {number} slot
     * @param {number} tier
     * @param {number} n
     * @returns {number}
     */
    load(slot, tier, n) {
        const ret = wasm.radixindex_load(this.__wbg_ptr, slot, tier, n);
        return ret >>> 0;
    }
    /**
     * How many (slot, tier, blocks) triples the last `find` left at `lower_output()`.
     * @returns {number}
     */
    lower() {
        const ret = wasm.radixindex_lower(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * @returns {number}
     */
    lower_output() {
        const ret = wasm.radixindex_lower_output(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * @param {number} capacity_bytes
     */
    constructor(capacity_bytes) {
        const ret = wasm.radixindex_new(capacity_bytes);
        this.__wbg_ptr = ret;
        RadixIndexFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Byte offset of the result of the last `find` (u32 pairs).
     * @returns {number}
     */
    output() {
        const ret = wasm.radixindex_output(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Input: block hashes. Returns how many the slot did not hold.
     * @param {number} slot
     * @param {number} tier
     * @param {number} n
     * @returns {number}
     */
    remove(slot, tier, n) {
        const ret = wasm.radixindex_remove(this.__wbg_ptr, slot, tier, n);
        return ret >>> 0;
    }
    /**
     * @param {number} slot
     * @param {number} tier
     * @returns {number}
     */
    slot_blocks(slot, tier) {
        const ret = wasm.radixindex_slot_blocks(this.__wbg_ptr, slot, tier);
        return ret >>> 0;
    }
    /**
     * Input `[parent block hash?] [block hash × n] [tokens hash × n]`. 0 stored, 1 duplicate, 2 parent not found, 3 invalid.
     * @param {number} slot
     * @param {number} tier
     * @param {boolean} has_parent
     * @param {number} n
     * @returns {number}
     */
    store(slot, tier, has_parent, n) {
        const ret = wasm.radixindex_store(this.__wbg_ptr, slot, tier, has_parent, n);
        return ret >>> 0;
    }
    /**
     * A step of freeing what was cleared. Returns whether there is more to do.
     * @returns {boolean}
     */
    sweep() {
        const ret = wasm.radixindex_sweep(this.__wbg_ptr);
        return ret !== 0;
    }
}
if (Symbol.dispose) RadixIndex.prototype[Symbol.dispose] = RadixIndex.prototype.free;
function __wbg_get_imports() {
    const import0 = {
        __proto__: null,
        __wbg___wbindgen_throw_4c88d8bf264fd984: function(arg0, arg1) {
            throw new Error(getStringFromWasm0(arg0, arg1));
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
        "./stator_radix_bg.js": import0,
    };
}

const ActiveSequencesFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_activesequences_free(ptr, 1));
const RadixIndexFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_radixindex_free(ptr, 1));

function getStringFromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return decodeText(getUint8ArrayMemory0().subarray(ptr, ptr + len));
}

let cachedUint8ArrayMemory0 = null;
function getUint8ArrayMemory0() {
    if (cachedUint8ArrayMemory0 === null || cachedUint8ArrayMemory0.byteLength === 0) {
        cachedUint8ArrayMemory0 = new Uint8Array(wasm.memory.buffer);
    }
    return cachedUint8ArrayMemory0;
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

let wasmModule, wasmInstance, wasm;
function __wbg_finalize_init(instance, module) {
    wasmInstance = instance;
    wasm = instance.exports;
    wasmModule = module;
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
        module_or_path = new URL('stator_radix_bg.wasm', import.meta.url);
    }
    const imports = __wbg_get_imports();

    if (typeof module_or_path === 'string' || (typeof Request === 'function' && module_or_path instanceof Request) || (typeof URL === 'function' && module_or_path instanceof URL)) {
        module_or_path = fetch(module_or_path);
    }

    const { instance, module } = await __wbg_load(await module_or_path, imports);

    return __wbg_finalize_init(instance, module);
}

export { initSync, __wbg_init as default };
